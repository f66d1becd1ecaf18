import { AxleError } from '@axle/core/internal';

import type { ServerMetrics } from '../../metrics/server-metrics.js';
import type { FindRoute } from '../http/routes.js';
import { WrongMethod } from '../http/wrong-method.js';

const path = '/metrics';

/** What a scraper may ask for. @param readers tenants that may: it shows what all of them do */
export function metricsRoutes(metrics: ServerMetrics, readers: readonly string[]): FindRoute {
  return (method, url) => {
    const [asked = ''] = url.split('?');
    if (asked !== path) {
      throw new AxleError('NOT_FOUND', `there is no ${asked.slice(0, 128)} here; ask for ${path}`);
    }
    if (method !== 'GET' && method !== 'HEAD') {
      throw new WrongMethod(method, ['GET', 'HEAD']);
    }
    return {
      op: 'Metrics',
      forAnyone: false,
      async answer({ client: { tenant }, reply }) {
        if (!readers.includes(tenant.name)) throw mayNotRead(tenant.name);
        const text = Buffer.from(await metrics.text());
        reply.send(200, { 'content-type': metrics.contentType }, [text]);
      },
    };
  };
}

function mayNotRead(tenant: string): AxleError {
  return AxleError.expected(
    'PERMISSION_DENIED',
    `tenant ${tenant} may not read the metrics, which are of all tenants; ask the operator, who names those that may under metricsTenants`,
  );
}
