/** Asked so often in the time after which a host counts as hung. */
const asks = 4;

/**
 * Finds out that a process does not answer any more, though it is there. It is asks without an answer that count, not
 * time: where the whole machine stood still, or this process did, no time was lost for the other one.
 */
export class HostWatch {
  private unanswered = 0;
  private readonly timer: NodeJS.Timeout;

  /**
   * @param hungMs without an answer, milliseconds, after which it counts as hung
   * @param ask what it answers with `heard`
   * @param onHung told once
   */
  constructor(hungMs: number, ask: () => void, onHung: () => void) {
    this.timer = setInterval(() => {
      if (this.unanswered >= asks) {
        this.stop();
        onHung();
        return;
      }
      this.unanswered += 1;
      ask();
    }, hungMs / asks).unref();
    ask();
    this.unanswered = 1;
  }

  /** It answered. */
  heard(): void {
    this.unanswered = 0;
  }

  stop(): void {
    clearInterval(this.timer);
  }
}
