/** Ranges start at multiples of it. */
export const rangeAlignment = 64;

/** Which parts of a memory are in use: first fit, neighbours that are free become one. */
export class Ranges {
  /** Of what is free: first bytes, rising, and lengths. */
  private readonly starts: number[] = [0];
  private readonly lengths: number[];

  constructor(bytes: number) {
    this.lengths = [bytes - (bytes % rangeAlignment)];
  }

  get freeBytes(): number {
    return this.lengths.reduce((sum, length) => sum + length, 0);
  }

  /** @returns where the range starts; undefined: there is no room */
  allocate(bytes: number): number | undefined {
    const wanted = aligned(bytes);
    const { starts, lengths } = this;
    for (let i = 0; i < starts.length; i++) {
      const length = lengths[i] as number;
      if (length < wanted) continue;
      const start = starts[i] as number;
      if (length === wanted) {
        starts.splice(i, 1);
        lengths.splice(i, 1);
      } else {
        starts[i] = start + wanted;
        lengths[i] = length - wanted;
      }
      return start;
    }
    return undefined;
  }

  /** Gives a range back that `allocate` gave for so many bytes. */
  free(start: number, bytes: number): void {
    const { starts, lengths } = this;
    const length = aligned(bytes);
    let i = starts.findIndex((other) => other > start);
    if (i < 0) i = starts.length;
    const before = i > 0 && (starts[i - 1] as number) + (lengths[i - 1] as number) === start;
    const after = i < starts.length && start + length === starts[i];
    if (before && after) {
      lengths[i - 1] = (lengths[i - 1] as number) + length + (lengths[i] as number);
      starts.splice(i, 1);
      lengths.splice(i, 1);
    } else if (before) {
      lengths[i - 1] = (lengths[i - 1] as number) + length;
    } else if (after) {
      starts[i] = start;
      lengths[i] = length + (lengths[i] as number);
    } else {
      starts.splice(i, 0, start);
      lengths.splice(i, 0, length);
    }
  }
}

/** The next multiple of the alignment, and at least one. */
export function aligned(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / rangeAlignment)) * rangeAlignment;
}
