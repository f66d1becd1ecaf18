import { BoundedLabels, otherLabel } from '@axle/core/internal';
import { Gauge, type Registry } from 'prom-client';

import type { ResourceStore } from '../store/resource-store.js';
import { quotaNames, type QuotaName } from '../trust/quotas.js';
import type { Tenant } from '../trust/tenants.js';

/** Tenants that are told apart; what further ones use is added up. */
export const tenantLabelsMax = 100;

const labelNames = ['tenant', 'resource'];

/**
 * Gives a registry what tenants use of their quotas.
 *
 * @param store keeps their models, and knows how much of them there is
 */
export function addTenantMetrics(
  registry: Registry,
  tenants: () => Iterable<Tenant>,
  store: Pick<ResourceStore, 'openShelfOf'>,
): void {
  const registers = [registry];
  const labels = new BoundedLabels(tenantLabelsMax);
  new Gauge({
    name: 'axle_tenant_usage',
    help: 'What a tenant uses now of what it has a quota of',
    ...{ labelNames, registers },
    collect() {
      this.reset();
      for (const { name, usage } of tenants()) {
        const tenant = labels.of(name);
        const shelf = store.openShelfOf(name);
        const kept = { models: shelf?.count ?? 0, modelBytes: shelf?.bytes ?? 0 };
        for (const resource of quotaNames) {
          const used = isOfModels(resource) ? kept[resource] : usage.used(resource);
          this.inc({ tenant, resource }, used);
        }
      }
    },
  });
  new Gauge({
    name: 'axle_tenant_quota',
    help: 'The most that a tenant may use at a time',
    ...{ labelNames, registers },
    collect() {
      this.reset();
      for (const { name, settings } of tenants()) {
        const tenant = labels.of(name);
        if (tenant === otherLabel) continue;
        for (const resource of quotaNames) {
          this.set({ tenant, resource }, settings.quotas[resource]);
        }
      }
    },
  });
}

function isOfModels(resource: QuotaName): resource is 'models' | 'modelBytes' {
  return resource === 'models' || resource === 'modelBytes';
}
