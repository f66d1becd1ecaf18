import type { Model } from '@axle/core/internal';

import { Future } from '../future.js';
import { Held } from '../held.js';

/** A handle that frames may name where they want a model: MODEL and LOAD. */
export abstract class HeldModel extends Held {
  /** It may be named before the model is there. */
  readonly model = new Future<Model>();
}
