const firstMs = 100;
const longestMs = 10_000;

/** When the next instance may be started after some failed: a function that cannot start costs little. */
export class StartBackoff {
  private failures = 0;
  private until = -Infinity;

  /** The last start failed, and no call was answered since. */
  get isFailing(): boolean {
    return this.failures > 0;
  }

  get retryAt(): number {
    return this.until;
  }

  failed(now: number): void {
    // Of several that were started together, one failure counts.
    if (now < this.until) return;
    this.until = now + Math.min(longestMs, firstMs * 2 ** this.failures);
    this.failures += 1;
  }

  reset(): void {
    this.failures = 0;
    this.until = -Infinity;
  }
}
