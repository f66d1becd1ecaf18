import type { NamedTensor } from './backend.js';
import type { Model } from './models/model.js';
import type { Chain } from './plans/chain.js';
import type { CallReport } from './results.js';

/** A call that dispatch took. */
export interface ObservedCall {
  readonly tenant: string;
  readonly chain: Chain;
  /** Undefined: it runs none. */
  readonly model: Model | undefined;
  readonly inputs: readonly NamedTensor[];
}

/**
 * Told of the calls of all sessions of a runtime, wherever they came in: each that began ends once. Cheaper than the
 * channel `axle.call`, and it knows the model. What it throws, the call fails with.
 */
export interface CallObserver {
  began(call: ObservedCall): void;
  succeeded(call: ObservedCall, report: CallReport): void;
  /** @param reason what the caller is told */
  failed(call: ObservedCall, reason: unknown): void;
  /** It did not begin: what it was given does not fit the model. */
  refused(model: Model, reason: unknown): void;
}
