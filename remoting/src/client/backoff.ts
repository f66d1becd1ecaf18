/** The second try waits up to this long, each later one up to twice as long as the one before, milliseconds. */
const firstMs = 50;
const waitMsMax = 3000;

/**
 * How long to wait before each try of a row: not at all before the first, then a random part of a time that doubles ("full
 * jitter"; Brooker, "Exponential Backoff and Jitter", 2015), so that clients that lost the same server come back spread out.
 */
export class Backoff {
  private tries = 0;

  /** @param random from 0 up to 1. */
  constructor(private readonly random: () => number = Math.random) {}

  nextMs(): number {
    const { tries } = this;
    this.tries += 1;
    if (tries === 0) return 0;
    return this.random() * Math.min(waitMsMax, firstMs * 2 ** (tries - 1));
  }

  /** The next try is the first of a row. */
  reset(): void {
    this.tries = 0;
  }
}
