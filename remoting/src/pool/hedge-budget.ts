/** Of all tasks, the part that may be sent a second time because the first answer is late. */
const hedgedPart = 0.05;
/** Hedges that may come in a row after many tasks without. */
const savedMax = 10;

/**
 * Allows a second attempt for a small part of tasks (Dean and Barroso, "The Tail at Scale", CACM 2013), so that a pool
 * which is slow as a whole is not given twice the work.
 */
export class HedgeBudget {
  private saved = savedMax;

  /** A task was sent. */
  earn(): void {
    this.saved = Math.min(savedMax, this.saved + hedgedPart);
  }

  /** @returns whether one more may be hedged. */
  spend(): boolean {
    if (this.saved < 1) return false;
    this.saved -= 1;
    return true;
  }
}
