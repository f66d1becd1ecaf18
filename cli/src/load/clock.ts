import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** The time that loads go by. */
export interface LoadClock {
  /** Milliseconds, of any start. */
  now(): number;
  /** Resolves at that time, or when `signal` aborts. */
  until(atMs: number, signal?: AbortSignal): Promise<void>;
  /** Resolves when whatever else is due has run. */
  turn(): Promise<void>;
}

/** Timers of Node fire up to so much late, milliseconds. */
const timerGrainMs = 2;

/**
 * Waits to within tens of microseconds: the last two milliseconds of a wait are turns of the event loop, which keep a core
 * busy.
 */
export const exactClock: LoadClock = {
  now: () => performance.now(),
  async until(atMs, signal) {
    for (;;) {
      const leftMs = atMs - performance.now();
      if (leftMs <= 0 || signal?.aborted === true) return;
      if (leftMs > timerGrainMs) await timer(leftMs - timerGrainMs, signal);
      else await nextTurn();
    }
  },
  turn: () => nextTurn(),
};

/** Waits by timers alone: a millisecond late or two, and next to no work. */
export const coarseClock: LoadClock = {
  now: () => performance.now(),
  async until(atMs, signal) {
    for (;;) {
      const leftMs = atMs - performance.now();
      if (leftMs <= 0 || signal?.aborted === true) return;
      await timer(leftMs, signal);
    }
  },
  turn: () => timer(0, undefined),
};

function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timeout);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timeout = setTimeout(end, ms);
    signal?.addEventListener('abort', end);
  });
}
