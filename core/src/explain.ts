import type { ExplainOptions } from './client.js';
import type { Model } from './models/model.js';
import { stepLabel, type Chain } from './plans/chain.js';
import type { ExplainReport } from './results.js';
import type { Runtime } from './runtime.js';

/** What `client.explain()` answers. */
export function explainChain(
  { router, costs }: Pick<Runtime, 'router' | 'costs'>,
  chain: Chain,
  model: Model | undefined,
  { device, strict = false }: ExplainOptions,
): ExplainReport {
  const { plans, reasons } = router.explain(chain, model, { device, strict }, undefined);
  return {
    op: chain.op,
    model: model?.name,
    plans: plans.map((plan) => ({
      device: plan.main.device.id,
      expectedMs: costs.planMs(plan.segments, model, undefined),
      steps: plan.segments.map((segment) => ({
        step: stepLabel(chain, segment.first, segment.last),
        device: segment.device.id,
        ...costs.segmentCost(segment, model, undefined),
      })),
    })),
    passedOver: [...reasons].map(([what, reason]) => ({ what, reason })),
  };
}
