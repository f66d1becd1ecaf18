import type { Timers } from '../src/timers.js';

/** Time that goes on when the test says so. */
export class VirtualTimers implements Timers {
  private ms = 0;
  private readonly due = new Set<{ readonly at: number; readonly run: () => void }>();

  now(): number {
    return this.ms;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.ms + ms, run };
    this.due.add(timer);
    return () => {
      this.due.delete(timer);
    };
  }

  get waiting(): number {
    return this.due.size;
  }

  advance(ms: number): void {
    const until = this.ms + ms;
    for (;;) {
      const [next] = [...this.due].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.due.delete(next);
      this.ms = Math.max(this.ms, next.at);
      next.run();
    }
    this.ms = until;
  }
}
