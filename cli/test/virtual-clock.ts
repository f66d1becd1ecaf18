import { setImmediate as nextTurn } from 'node:timers/promises';

import type { LoadClock } from '../src/load/index.js';

/** Time that passes when it is told to. */
export class VirtualClock implements LoadClock {
  private time = 0;
  private waiting: { readonly atMs: number; readonly wake: () => void }[] = [];

  /** @param lateMs how long after their time those who wait are woken */
  constructor(private readonly lateMs = 0) {}

  now(): number {
    return this.time;
  }

  async until(atMs: number, signal?: AbortSignal): Promise<void> {
    if (atMs <= this.time || signal?.aborted === true) return;
    await new Promise<void>((wake) => {
      this.waiting.push({ atMs: atMs + this.lateMs, wake });
      signal?.addEventListener('abort', () => {
        wake();
      });
    });
  }

  turn(): Promise<void> {
    return nextTurn();
  }

  async advanceTo(atMs: number): Promise<void> {
    await settled();
    for (;;) {
      const [next] = this.waiting.sort((a, b) => a.atMs - b.atMs);
      if (next === undefined || next.atMs > atMs) break;
      this.waiting.shift();
      this.time = next.atMs;
      next.wake();
      await settled();
    }
    this.time = atMs;
    await settled();
  }
}

/** Those who were woken have done what they do, one `turn` included. */
async function settled(): Promise<void> {
  await nextTurn();
  await nextTurn();
}
