import type { ErrorCodeName } from './generated/constants.js';

/** Which task it is that an event tells of. */
export interface TaskName {
  /** The op of the call: 'classify', 'compress', 'vendor.example/blur'. */
  readonly op: string;
  /** What of it the task does: 'infer', or for several steps in one task 'preprocess..topk'. */
  readonly step: string;
  readonly device: string;
  /** Its name; undefined where the task runs no model. */
  readonly model: string | undefined;
  readonly tenant: string;
}

/**
 * What subscribers of the channel `axle.task` get: one event for each task, when it settles, in the asynchronous context
 * of its call; a write to a codec's stream is a task too. Nothing of what a task works on is in it.
 */
export interface TaskEvent extends TaskName {
  readonly code: ErrorCodeName;
  /** Waiting for the device, in Axle's queue and, unless the task failed, in the device's own; milliseconds. */
  readonly queueMs: number;
  /** What devices tell of tasks that succeed. */
  readonly ran:
    | { readonly transferMs: number; readonly computeMs: number; readonly batchSize: number }
    | undefined;
}
