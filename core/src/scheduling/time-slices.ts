/**
 * What a tenant has of a device's time in every window, whatever its weight: between `request` and `limit` it grows on the
 * device by itself, as far as others leave it time (vertical scaling; after Gu et al., "FaST-GShare", ICPP 2023, and "HAS-GPU").
 */
export interface TimeSlice {
  /** The part that it is sure of, 0 to 1: until it has had it, it goes before all others. */
  readonly request: number;
  /** The part that it never has more of, over 0 up to 1, even where nobody else wants the device. */
  readonly limit: number;
  /** Milliseconds. */
  readonly windowMs: number;
}

/** Device time of one tenant in the current window, held against its slice. */
export class SliceAccount {
  private readonly requestMs: number;
  private readonly limitMs: number;
  /** In the window, with what windows before had too much; milliseconds. */
  private usedMs = 0;
  /** Windows begin at multiples of their length. */
  private window = -Infinity;

  /** @param parallel batches that the device computes at once: a window has its length for each */
  constructor(
    readonly slice: TimeSlice,
    parallel: number,
  ) {
    const { request, limit, windowMs } = slice;
    this.requestMs = request * windowMs * parallel;
    this.limitMs = limit * windowMs * parallel;
  }

  /** Whether it has not had yet what it is sure of. */
  isShort(now: number): boolean {
    this.turn(now);
    return this.usedMs < this.requestMs;
  }

  /** When a batch of it may begin: now or in a window to come. */
  mayBeginAt(now: number): number {
    return this.mayBeginAfter(0, now);
  }

  /** The same when it will have had so much more until then. */
  mayBeginAfter(aheadMs: number, now: number): number {
    this.turn(now);
    // A batch may begin with any rest, since no batch is cut; what it takes too much is taken from the windows to come.
    const windows = Math.floor((this.usedMs + aheadMs) / this.limitMs);
    return windows <= 0 ? now : (this.window + windows) * this.slice.windowMs;
  }

  /**
   * @param ms less than 0 where it turned out to be less than was charged before
   * @returns what of it is beyond what the tenant is sure of: that part is shared by weight.
   */
  charge(ms: number): number {
    const before = Math.max(0, this.usedMs - this.requestMs);
    // What was charged in a window before is no room in this one.
    this.usedMs = Math.max(0, this.usedMs + ms);
    return Math.max(0, this.usedMs - this.requestMs) - before;
  }

  private turn(now: number): void {
    const window = Math.floor(now / this.slice.windowMs);
    if (window <= this.window) return;
    const passed = window - this.window;
    this.window = window;
    this.usedMs = passed === Infinity ? 0 : Math.max(0, this.usedMs - passed * this.limitMs);
  }
}

export function sameSlice(a: TimeSlice | undefined, b: TimeSlice | undefined): boolean {
  return (
    a === b || (a?.request === b?.request && a?.limit === b?.limit && a?.windowMs === b?.windowMs)
  );
}
