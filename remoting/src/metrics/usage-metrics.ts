import { BoundedLabels } from '@axle/core/internal';
import { Counter, type Registry } from 'prom-client';

import type { UsageEntry } from '../usage/usage-counts.js';
import { modelLabelsMax } from './model-counts.js';
import { tenantLabelsMax } from './tenant-metrics.js';

const msPerSecond = 1000;

/** Gives a registry the device time of tenants, for bills that need not be exact: what is told apart is bounded. */
export function addUsageMetrics(registry: Registry, usage: () => Iterable<UsageEntry>): void {
  const tenants = new BoundedLabels(tenantLabelsMax);
  const models = new BoundedLabels(modelLabelsMax);
  new Counter({
    name: 'axle_tenant_device_seconds_total',
    help: 'Time that devices computed for a tenant, of tasks that gave results',
    labelNames: ['tenant', 'model', 'device'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { tenant, model, device, deviceMs } of usage()) {
        const labels = { tenant: tenants.of(tenant), model: models.of(model), device };
        this.inc(labels, deviceMs / msPerSecond);
      }
    },
  });
}
