import type { Model, ObservedCall } from '@axle/core/internal';
import { Registry } from 'prom-client';
import { expect, it } from 'vitest';

import { ModelCounts, modelLabelsMax } from '../src/metrics/model-counts.js';
import { addModelMetrics } from '../src/metrics/model-metrics.js';
import { addTenantMetrics, tenantLabelsMax } from '../src/metrics/tenant-metrics.js';
import { defaultQuotas } from '../src/trust/quotas.js';
import { Tenants } from '../src/trust/tenants.js';

const report = {
  device: 'a:0',
  steps: [],
  timingMs: { queue: 1, transfer: 2, compute: 3, total: 7 },
  fallbacks: [],
};

it('counts the models past the limit together', async () => {
  const counts = new ModelCounts();
  const registry = new Registry();
  addModelMetrics(registry, counts, () => Promise.resolve(new Map()));
  for (let i = 0; i < modelLabelsMax + 3; i++) {
    const model = {
      name: `m${i}`,
      version: '1',
      maxBatchSize: 0,
      source: { contentId: `${i}` },
    } as Model;
    const chain = { op: 'infer', main: 0, steps: [] };
    const call: ObservedCall = { tenant: 'a', chain, model, inputs: [] };
    counts.began(call);
    counts.succeeded(call, report);
  }
  const text = await registry.getSingleMetricAsString('nv_inference_request_duration_us');
  expect(text.match(/^nv_.* 7000$/gm)).toHaveLength(modelLabelsMax);
  expect(text).toContain('nv_inference_request_duration_us{model="other",version=""} 21000');
});

it('adds up what tenants past the limit use', async () => {
  const others = { weight: 1, disabled: false, quotas: defaultQuotas };
  const tenants = new Tenants({ limits: defaultQuotas, others, named: new Map() });
  const registry = new Registry();
  addTenantMetrics(registry, () => tenants.all, { openShelfOf: () => undefined });
  for (let i = 0; i < tenantLabelsMax + 5; i++) tenants.get(`t${i}`).usage.take('calls');
  const text = await registry.metrics();
  expect(text).toContain('axle_tenant_usage{tenant="t99",resource="calls"} 1\n');
  expect(text).toContain('axle_tenant_usage{tenant="other",resource="calls"} 5\n');
  expect(text).toContain('axle_tenant_quota{tenant="t99",resource="calls"} 4096\n');
  expect(text).not.toContain('axle_tenant_quota{tenant="other"');
});
