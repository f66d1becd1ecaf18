import { describe, expect, it } from 'vitest';

import type { Device } from '../src/backend.js';
import type { Model } from '../src/models/model.js';
import { fusedRange, singleOp, type OpRange } from '../src/op.js';
import { CostModel } from '../src/plans/cost-model.js';
import type { Segment } from '../src/plans/router.js';

const device = { id: 'd:0', parallel: 2 } as Device;
const model = { source: { contentId: 'abc' } } as Model;

function segment(range: OpRange, usesModel: boolean): Segment {
  return { device, range, usesModel } as Segment;
}

const fused = segment(fusedRange('classify', 1, 3), true);
const steps = [
  segment(singleOp('preprocess'), false),
  segment(singleOp('infer'), true),
  segment(singleOp('topk'), false),
];

describe('CostModel', () => {
  it('follows what is measured, by task of a batch', () => {
    const costs = new CostModel({ load: () => 0, hasModel: () => true });
    const timing = { queueMs: 5, transferMs: 2, computeMs: 6, batchSize: 4 };
    expect(costs.segmentCost(fused, model)).toMatchObject({ measured: false, loadMs: 0 });
    costs.observe(device, fused.range, model, timing);
    expect(costs.segmentCost(fused, model)).toMatchObject({ measured: true, taskMs: 2 });
    costs.observe(device, fused.range, model, { ...timing, computeMs: 46 });
    expect(costs.segmentCost(fused, model).taskMs).toBeCloseTo(3);
  });

  it('does not take steps that never ran for quicker than the model is known to be', () => {
    const costs = new CostModel({ load: () => 0, hasModel: () => true });
    const timing = { queueMs: 0, transferMs: 0, computeMs: 500, batchSize: 1 };
    costs.observe(device, fused.range, model, timing);
    expect(costs.planMs(steps, model)).toBeGreaterThan(costs.planMs([fused], model));
  });

  it('counts what waits, and a model that is still to be loaded', () => {
    const busy = new CostModel({ load: () => 6, hasModel: () => false });
    const cost = busy.segmentCost(fused, model);
    expect(cost.queueMs).toBeCloseTo(3 * cost.taskMs);
    expect(cost.loadMs).toBeGreaterThan(0);
    expect(cost.totalMs).toBeGreaterThan(cost.queueMs + cost.taskMs + cost.loadMs);
  });
});
