import type { Log, LogFields } from './log.js';

/** Lines in one window of time. */
const linesMax = 20;
const windowMs = 10_000;

/** A log that peers can make write only so much: what is past that is counted. */
export class LimitedLog {
  private startedAt = -Infinity;
  private lines = 0;

  /** @param clock milliseconds, of any start */
  constructor(
    private readonly write: Log,
    private readonly clock: () => number,
  ) {}

  add(message: string, fields?: LogFields): void {
    if (this.takes()) this.write(message, fields);
  }

  /** Whether there is room for one more line, which then is to be written; it is counted either way. */
  takes(): boolean {
    const now = this.clock();
    if (now - this.startedAt >= windowMs) this.begin(now);
    this.lines += 1;
    return this.lines <= linesMax;
  }

  /** Says what was left out. */
  private begin(now: number): void {
    const left = this.lines - linesMax;
    if (left > 0) this.write(`${left} more lines like these were left out`, { level: 'warn' });
    this.startedAt = now;
    this.lines = 0;
  }
}
