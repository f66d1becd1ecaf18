/** Where what is past a limit is counted. */
export const otherLabel = 'other';

/**
 * Values of a metric's label: callers choose them, and each costs the process and whoever scrapes it memory for good. What
 * comes when there are as many as may be is `other`.
 */
export class BoundedLabels {
  private readonly known: Set<string>;

  /** @param always values that are there from the beginning, and count */
  constructor(
    private readonly max: number,
    always: readonly string[] = [],
  ) {
    this.known = new Set(always);
  }

  /** @param mayJoin whether it is one of them from now on */
  of(value: string, mayJoin = true): string {
    if (this.known.has(value)) return value;
    if (!mayJoin || this.known.size >= this.max) return otherLabel;
    this.known.add(value);
    return value;
  }
}
