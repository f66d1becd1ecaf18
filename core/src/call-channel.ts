import { tracingChannel } from 'node:diagnostics_channel';

/**
 * What subscribers of `tracing:axle.call:*` get, as Node's TracingChannel publishes it: `start` when a call is made,
 * `asyncEnd` with `result` (which has the call's report) or after `error` with `error` when it is over. The object is
 * the same in all events of a call. Nothing of what the call works on is in it.
 */
export interface CallEvent {
  /** The method that was called, such as 'classify' or 'compressStream'; of `run`, the op that it was given. */
  readonly op: string;
  readonly tenant: string;
  result?: unknown;
  error?: unknown;
}

export const callChannel = tracingChannel<unknown, CallEvent>('axle.call');
