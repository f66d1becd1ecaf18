const shrinkAt = 1000;

/** Work of one kind, in order, so many at once. */
export class Lane<T> {
  private readonly waiting: T[] = [];
  private head = 0;
  private active = 0;

  constructor(
    private readonly atOnce: () => number,
    private readonly work: (item: T) => Promise<void>,
    /** Nothing waits, and nothing is at work. */
    private readonly onIdle: () => void = () => undefined,
  ) {}

  push(item: T): void {
    this.waiting.push(item);
    this.pump();
  }

  /** In large steps: taking one off the front of an array moves all others. */
  private shrink(): void {
    if (this.head < shrinkAt) return;
    this.waiting.splice(0, this.head);
    this.head = 0;
  }

  private pump(): void {
    while (this.active < this.atOnce() && this.head < this.waiting.length) {
      const item = this.waiting[this.head] as T;
      this.head += 1;
      this.shrink();
      this.active += 1;
      void this.work(item).finally(() => {
        this.active -= 1;
        this.pump();
        if (this.active === 0) this.onIdle();
      });
    }
  }
}
