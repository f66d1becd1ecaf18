export type Decision<T> =
  /** Send its tasks now, together; it takes a slot until `finished`. */
  | { readonly kind: 'batch'; readonly batch: Batch<T> }
  /** They are out of the queue and must not be sent. */
  | { readonly kind: 'dropped'; readonly tasks: readonly T[]; readonly why: DropReason }
  /** Nothing before this time, unless a task is offered or a batch finishes. */
  | { readonly kind: 'wait'; readonly untilAt: number }
  /** Nothing until a task is offered or a batch finishes. */
  | { readonly kind: 'idle' };

/** `deadline`: it passed. `timeout`: the queue's own. `late`: the deadline would have passed before the end. */
export type DropReason = 'deadline' | 'timeout' | 'late';

export interface Batch<T> {
  readonly tasks: readonly T[];
  readonly items: number;
  readonly batchKey: string;
}

/** What a batch took, milliseconds. */
export interface BatchTimes {
  /** The device's transfer and compute; undefined when the batch failed. */
  readonly workMs: number | undefined;
  /** From when it was sent until its last result was here. */
  readonly latencyMs: number;
}
