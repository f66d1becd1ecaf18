import type { ServerResponse } from 'node:http';

import { AxleError } from 'axle';

import type { GatewayMetrics } from '../metrics/gateway-metrics.js';

/** What metrics have where nobody waited for the answer. */
const clientGone = 499;

/**
 * Counts a call that somebody waits for.
 *
 * @returns aborted when the caller goes away.
 */
export function watchCall(
  response: ServerResponse,
  metrics: GatewayMetrics,
  name: string,
): AbortSignal {
  const startedAt = performance.now();
  const controller = new AbortController();
  metrics.start(name);
  response.once('close', () => {
    const isGone = !response.writableFinished;
    if (isGone) controller.abort(AxleError.expected('CANCELLED', 'the caller went away'));
    metrics.end(name, isGone ? clientGone : response.statusCode, performance.now() - startedAt);
  });
  return controller.signal;
}
