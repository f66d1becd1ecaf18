import { describe, expect, it } from 'vitest';

import type { Device } from '../src/backend.js';
import type { Model } from '../src/models/model.js';
import { fusedRange, singleOp, type OpRange } from '../src/op.js';
import { CostModel, costEntriesMax } from '../src/plans/cost-model.js';
import type { Segment } from '../src/plans/router.js';

const device = { id: 'd:0', parallel: 2 } as Device;
const model = { source: { contentId: 'abc' } } as Model;

function costsWith(load: number, hasModel: boolean) {
  const costs = new CostModel({ load: () => load, hasModel: () => hasModel });
  const segment = (range: OpRange, usesModel: boolean) => {
    const cost = costs.entryOf(device, range, usesModel ? model : undefined);
    return { device, range, usesModel, cost, score: 1 } as Segment;
  };
  return {
    costs,
    fused: segment(fusedRange('classify', 1, 3), true),
    steps: [
      segment(singleOp('preprocess'), false),
      segment(singleOp('infer'), true),
      segment(singleOp('topk'), false),
    ],
    codec: segment(singleOp('compress'), false),
  };
}

describe('CostModel', () => {
  it('follows what is measured, by task of a batch', () => {
    const { costs, fused } = costsWith(0, true);
    const timing = { queueMs: 5, transferMs: 2, computeMs: 6, batchSize: 4 };
    expect(costs.segmentCost(fused, model, 10)).toMatchObject({ measured: false, loadMs: 0 });
    costs.observe(fused.cost, 10, timing);
    expect(costs.segmentCost(fused, model, 10)).toMatchObject({ measured: true, taskMs: 2 });
    for (let i = 0; i < 200; i++) costs.observe(fused.cost, 10, { ...timing, computeMs: 46 });
    expect(costs.segmentCost(fused, model, 10).taskMs).toBeCloseTo(12, 1);
  });

  it('knows that more bytes take longer', () => {
    const { costs, codec } = costsWith(0, true);
    for (const bytes of [1000, 5000, 9000]) {
      const timing = { queueMs: 0, transferMs: 0, computeMs: 1 + bytes / 1000, batchSize: 1 };
      costs.observe(codec.cost, bytes, timing);
    }
    expect(costs.segmentCost(codec, undefined, 2000).taskMs).toBeCloseTo(3);
    // Beyond what was seen nothing is made up.
    expect(costs.segmentCost(codec, undefined, 100_000).taskMs).toBeCloseTo(10);
    expect(costs.segmentCost(codec, undefined, undefined).taskMs).toBeCloseTo(6, 0);
  });

  it('does not take steps that never ran for quicker than the model is known to be', () => {
    const { costs, fused, steps } = costsWith(0, true);
    const timing = { queueMs: 0, transferMs: 0, computeMs: 500, batchSize: 1 };
    costs.observe(fused.cost, 10, timing);
    expect(costs.planMs(steps, model, 10)).toBeGreaterThan(costs.planMs([fused], model, 10));
  });

  it('counts what waits, and a model that is still to be loaded', () => {
    const { costs, fused } = costsWith(6, false);
    const cost = costs.segmentCost(fused, model, 10);
    expect(cost.queueMs).toBeCloseTo(3 * cost.taskMs);
    expect(cost.loadMs).toBeGreaterThan(0);
    expect(cost.totalMs).toBeGreaterThan(cost.queueMs + cost.taskMs + cost.loadMs);
  });

  it('remembers so many kinds of tasks and no more: those that plans were made with last', () => {
    const { costs } = costsWith(0, true);
    const entryOf = (contentId: string) =>
      costs.entryOf(device, singleOp('infer'), { source: { contentId } } as Model);
    const [first, second] = [entryOf('first'), entryOf('second')];
    for (let i = 0; i < costEntriesMax - 2; i++) entryOf(`m${i}`);
    expect(entryOf('first')).toBe(first);
    entryOf('one more');
    expect(entryOf('first')).toBe(first);
    expect(entryOf('second')).not.toBe(second);
    expect(entryOf('second').model).not.toBe(second.model);
  });
});
