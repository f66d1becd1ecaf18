import { inferChain } from './calls/infer-call.js';
import type { Model } from './models/model.js';
import type { Chain } from './plans/chain.js';
import { classifyChain } from './plans/classify.js';

/** What a model's calls will run, for loading it where they will. */
export function prefetchChain(model: Model): Chain {
  return model.classify === undefined ? inferChain : classifyChain(model, 1);
}
