import { prefetchChain, Session, type Limits, type Model, type Runtime } from '@axle/core/internal';

import type { Log } from '../../log/log.js';
import type { ModelControl } from './model-control.js';
import { PublicModels } from './public-models.js';

const uncontrolled: ModelControl = { mode: 'none', load: [], pollMs: 0, tenants: [] };
/** Who loads models that are everyone's: no tenant can have the name. */
const nobody = '';

/** The operator's models of a runtime, and its devices for them. */
export function publicModels(
  runtime: Runtime,
  limits: Limits,
  control: ModelControl | undefined,
  log: Log,
): PublicModels {
  const session = new Session(runtime, nobody, 1, limits);
  const devices = {
    load: (model: Model) =>
      session.call('prefetch', {}, async (cancellation) => {
        await session.prefetch({ chain: prefetchChain(model), model }, {}, cancellation);
      }),
    unload: (model: Model) => runtime.unloadModel(model),
  };
  return new PublicModels(runtime.repository, limits, control ?? uncontrolled, devices, log);
}
