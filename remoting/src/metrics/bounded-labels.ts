/** Where what is past a limit is counted. */
export const otherLabel = 'other';

/**
 * Values of a label: callers choose them, and each costs the server and whoever scrapes it memory for good. What comes
 * when there are `max` is `other`.
 */
export class BoundedLabels {
  private readonly known = new Set<string>();

  constructor(private readonly max: number) {}

  of(value: string): string {
    if (this.known.has(value)) return value;
    if (this.known.size >= this.max) return otherLabel;
    this.known.add(value);
    return value;
  }
}
