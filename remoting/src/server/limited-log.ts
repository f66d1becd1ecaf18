/** Lines in one window of time. */
const linesMax = 20;
const windowMs = 10_000;

/** A log that peers can make write only so much: what is past that is counted. */
export class LimitedLog {
  private startedAt = -Infinity;
  private lines = 0;

  /** @param clock milliseconds, of any start */
  constructor(
    private readonly write: (line: string) => void,
    private readonly clock: () => number,
  ) {}

  add(line: string): void {
    const now = this.clock();
    if (now - this.startedAt >= windowMs) this.begin(now);
    this.lines += 1;
    if (this.lines <= linesMax) this.write(line);
  }

  /** Says what was left out. */
  private begin(now: number): void {
    const left = this.lines - linesMax;
    if (left > 0) this.write(`${left} more lines like these were left out`);
    this.startedAt = now;
    this.lines = 0;
  }
}
