import type { PriorityLevels } from './priority-levels.js';

/** For how long how many tasks of a model may wait on a device: Triton's queue policy. */
export interface QueueBounds {
  /** Tasks that may wait; 0 = only the device's own bound holds. */
  readonly queueMax: number;
  /** Time in the queue after which `onTimeout` is done, milliseconds; 0 = none. */
  readonly queueTimeoutMs: number;
  /** `reject`: it fails. `delay`: it runs after all others, or all of its priority level. */
  readonly onTimeout: 'reject' | 'delay';
}

/**
 * With whom a task may be computed, and for how long it may wait for them: Triton's knobs of `dynamic_batching` and
 * `instance_group`. Tasks of one batch key have one policy.
 */
export interface BatchPolicy extends QueueBounds {
  /** Most items of a batch. 1: always alone. */
  readonly itemsMax: number;
  /** Sizes that run best, items, ascending: a batch that reaches one of them goes without waiting. */
  readonly preferredItems: readonly number[];
  /** How long a task may wait for others, milliseconds. */
  readonly delayMs: number;
  /** Batches of one model under way on a device at once; 0 = as many as the device takes. */
  readonly instances: number;
  /** Undefined: calls of all priorities wait in one queue. */
  readonly levels: PriorityLevels | undefined;
  /** Tasks take time by their items alone, so that what past ones took tells what the next one takes. */
  readonly predictable: boolean;
  /** Results of a model come in the order of its calls. */
  readonly preserveOrdering: boolean;
  /**
   * Batches are made as large as the deadlines allow, from what batches of each size took before, and a task that
   * would come too late is refused instead of run.
   */
  readonly sloAware: boolean;
}

/** Of tasks that are never put together. */
export const alonePolicy: BatchPolicy = {
  itemsMax: 1,
  preferredItems: [],
  delayMs: 0,
  instances: 0,
  queueMax: 0,
  queueTimeoutMs: 0,
  onTimeout: 'reject',
  levels: undefined,
  predictable: false,
  preserveOrdering: false,
  sloAware: false,
};
