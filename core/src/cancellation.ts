import { onAbort } from './abort-listeners.js';
import { AxleError } from './errors.js';

type Listener = (reason: unknown) => void;

/**
 * One reason to stop a call, whoever gives it: the caller's AbortSignal, its deadline, or the session's end. One for
 * each call and cheap, which `AbortSignal.any` is not on Node 20.
 */
export class Cancellation {
  /** Among the calls in flight, which alone writes it. */
  place = 0;
  private listeners: Listener[] = [];
  private timer: NodeJS.Timeout | undefined;
  private stopped: { readonly reason: unknown } | undefined;
  private stopListening: (() => void) | undefined;

  /** @param deadlineMs time from now; undefined = none. */
  constructor(signal: AbortSignal | undefined, deadlineMs: number | undefined) {
    if (signal !== undefined) this.listenTo(signal);
    if (deadlineMs !== undefined && this.stopped === undefined) this.startTimer(deadlineMs);
  }

  /** Throws the reason when the call is to stop. */
  check(): void {
    if (this.stopped !== undefined) throw this.stopped.reason;
  }

  cancel(reason: unknown): void {
    if (this.stopped !== undefined) return;
    this.stopped = { reason };
    const { listeners } = this;
    this.dispose();
    for (const listener of listeners) listener(reason);
  }

  /** Calls `listener` when the call is to stop (at once when it already is), until the returned function is called. */
  subscribe(listener: Listener): () => void {
    if (this.stopped !== undefined) {
      listener(this.stopped.reason);
      return () => undefined;
    }
    this.listeners.push(listener);
    return () => {
      this.listeners = this.listeners.filter((other) => other !== listener);
    };
  }

  /** Settles as `work` does, or rejects with the reason as soon as the call is to stop. */
  async race<T>(work: Promise<T>): Promise<T> {
    let unsubscribe = () => undefined as unknown;
    const stop = new Promise<never>((_, reject) => {
      unsubscribe = this.subscribe(reject);
    });
    try {
      return await Promise.race([work, stop]);
    } finally {
      unsubscribe();
    }
  }

  /** Frees the timer and the listeners; to be called when the call is over. */
  dispose(): void {
    if (this.timer !== undefined) clearTimeout(this.timer);
    this.stopListening?.();
    this.listeners = [];
  }

  private listenTo(signal: AbortSignal): void {
    if (signal.aborted) {
      this.cancel(signal.reason);
      return;
    }
    this.stopListening = onAbort(signal, () => {
      this.cancel(signal.reason);
    });
  }

  private startTimer(deadlineMs: number): void {
    const expire = () => {
      this.cancel(
        new AxleError(
          'DEADLINE_EXCEEDED',
          `no result within the deadline (${deadlineMs.toFixed(0)} ms were left); give it more time, or load the model ahead with prefetch`,
        ),
      );
    };
    if (deadlineMs <= 0) expire();
    else this.timer = setTimeout(expire, Math.min(deadlineMs, timerMsMax));
  }
}

/** Longest that a Node timer waits. */
const timerMsMax = 2 ** 31 - 1;
