/** Looks at what waits, in the time after which it has waited for too long. */
const looks = 4;

/** Finds what waits for credit and gets none for too long: handles, and 0 for the connection. */
export class StallWatch {
  /** When what waits was first seen to, since its last credit. */
  private readonly since = new Map<number, number>();
  private timer: NodeJS.Timeout | undefined = undefined;

  constructor(
    private readonly stallMs: number,
    private readonly waiting: () => readonly number[],
    private readonly onStall: (id: number) => void,
  ) {}

  /** Something may wait from now on. */
  start(): void {
    this.timer ??= setInterval(() => {
      this.look();
    }, this.stallMs / looks).unref();
  }

  credited(id: number): void {
    this.since.delete(id);
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.since.clear();
  }

  private look(): void {
    const waiting = new Set(this.waiting());
    for (const id of this.since.keys()) if (!waiting.has(id)) this.since.delete(id);
    if (waiting.size === 0) {
      this.stop();
      return;
    }
    const now = performance.now();
    for (const id of waiting) {
      const since = this.since.get(id);
      if (since === undefined) {
        this.since.set(id, now);
      } else if (now - since >= this.stallMs) {
        this.since.delete(id);
        this.onStall(id);
      }
    }
  }
}
