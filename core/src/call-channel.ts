import { tracingChannel } from 'node:diagnostics_channel';

import type { CallReport } from './results.js';

/** What a call's result says of its making, without what it gave. */
export type CallSummary = CallReport & {
  /** Its name, of calls that run one. */
  readonly model?: string;
};

/**
 * What subscribers of `tracing:axle.call:*` get, as Node's TracingChannel publishes it: `start` when a call is made,
 * `asyncEnd` with `result` or after `error` with `error` when it is over. The object is the same in all events of a
 * call.
 *
 * Nothing of what the call works on is in `op`, `tenant` and `result`. `error` is what the caller gets, whatever that
 * is: the message of an AxleError says what was wrong, so that it may show a path, a name or the value of an option.
 */
export interface CallEvent {
  /** The method that was called, such as 'classify' or 'compressStream'; of `run`, the op that it was given. */
  readonly op: string;
  readonly tenant: string;
  /** Undefined of calls that have no report, such as prefetch. */
  result?: CallSummary | undefined;
  error?: unknown;
}

const channel = tracingChannel<unknown, CallEvent>('axle.call');

/** Where calls are told of; `tracePromise` is for when somebody listens. */
export const callChannel = {
  get hasSubscribers(): boolean {
    return channel.hasSubscribers;
  },

  /** Runs a call and publishes how it began and ended. Gives the whole result; subscribers get its summary. */
  async tracePromise<T>(work: () => Promise<T>, event: CallEvent): Promise<T> {
    const results: T[] = [];
    await channel.tracePromise(async () => {
      const result = await work();
      results.push(result);
      return summaryOf(result);
    }, event);
    return results[0] as T;
  },
};

function summaryOf(result: unknown): CallSummary | undefined {
  if (typeof result !== 'object' || result === null || !('timingMs' in result)) return undefined;
  const { device, steps, timingMs, fallbacks, model } = result as CallSummary;
  const report = { device, steps, timingMs, fallbacks };
  return model === undefined ? report : { ...report, model };
}
