import { onAbort } from './abort-listeners.js';
import { AxleError } from './errors.js';
import { timerMsMax } from './timer-limit.js';

/** Who is told, at most once, that a call is to stop. */
export interface CancelListener {
  cancelled(reason: unknown): void;
}

/**
 * One reason to stop a call, whoever gives it: the caller's AbortSignal, its deadline, or the session's end. One for
 * each call and cheap, which `AbortSignal.any` is not on Node 20.
 */
export class Cancellation {
  /** Among the calls in flight, which alone writes it; -1 = not there. */
  place = -1;
  /** Nearly all calls have one. */
  private listener: CancelListener | undefined;
  private furtherListeners: CancelListener[] | undefined;
  private timer: NodeJS.Timeout | undefined;
  private stopped: { readonly reason: unknown } | undefined;
  private stopListening: (() => void) | undefined;

  /** @param deadlineMs time from now; undefined = none. */
  constructor(signal: AbortSignal | undefined, deadlineMs: number | undefined) {
    if (signal !== undefined) this.listenTo(signal);
    if (deadlineMs !== undefined && this.stopped === undefined) this.startTimer(deadlineMs);
  }

  /** For advice to whoever is late. */
  protected get runsModel(): boolean {
    return false;
  }

  /** Throws the reason when the call is to stop. */
  check(): void {
    if (this.stopped !== undefined) throw this.stopped.reason;
  }

  cancel(reason: unknown): void {
    if (this.stopped !== undefined) return;
    this.stopped = { reason };
    const { listener, furtherListeners = [] } = this;
    this.dispose();
    listener?.cancelled(reason);
    for (const further of furtherListeners) further.cancelled(reason);
  }

  /** Tells `listener` when the call is to stop (at once when it already is), until `unsubscribe`. */
  subscribe(listener: CancelListener): void {
    if (this.stopped !== undefined) listener.cancelled(this.stopped.reason);
    else if (this.listener === undefined) this.listener = listener;
    else (this.furtherListeners ??= []).push(listener);
  }

  unsubscribe(listener: CancelListener): void {
    if (this.listener === listener) this.listener = undefined;
    else this.furtherListeners = this.furtherListeners?.filter((other) => other !== listener);
  }

  /** Settles as `work` does, or rejects with the reason as soon as the call is to stop. */
  async race<T>(work: Promise<T>): Promise<T> {
    let listener: CancelListener | undefined;
    const stopped = new Promise<never>((_, reject) => {
      listener = { cancelled: reject };
      this.subscribe(listener);
    });
    try {
      return await Promise.race([work, stopped]);
    } finally {
      if (listener !== undefined) this.unsubscribe(listener);
    }
  }

  /** Frees the timer and the listeners; to be called when the call is over. */
  dispose(): void {
    if (this.timer !== undefined) clearTimeout(this.timer);
    this.stopListening?.();
    this.listener = undefined;
    this.furtherListeners = undefined;
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
    const expire = (runsModel: boolean) => {
      const advice = runsModel ? ', or load the model ahead with prefetch' : '';
      this.cancel(
        AxleError.expected(
          'DEADLINE_EXCEEDED',
          `no result within the deadline (${deadlineMs.toFixed(0)} ms were left); give it more time${advice}`,
        ),
      );
    };
    if (deadlineMs <= 0) {
      expire(false);
      return;
    }
    this.timer = setTimeout(
      () => {
        expire(this.runsModel);
      },
      Math.min(deadlineMs, timerMsMax),
    );
  }
}
