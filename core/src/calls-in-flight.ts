import type { Cancellation } from './cancellation.js';

/**
 * The calls that a session has not been answered. A list in which each knows its place, and not a Set: as much is
 * deleted as is added, and each new table that a Set makes for itself then keeps what was in the old one alive until
 * the next full collection.
 */
export class CallsInFlight {
  private readonly calls: Cancellation[] = [];

  get size(): number {
    return this.calls.length;
  }

  add(call: Cancellation): void {
    call.place = this.calls.length;
    this.calls.push(call);
  }

  /** Of a call that is not there it does nothing. */
  remove(call: Cancellation): void {
    const { place } = call;
    if (place < 0) return;
    const last = this.calls.pop() as Cancellation;
    if (last !== call) {
      this.calls[place] = last;
      last.place = place;
    }
    call.place = -1;
  }

  cancelAll(reason: unknown, spared: ReadonlySet<Cancellation>): void {
    for (const call of [...this.calls]) if (!spared.has(call)) call.cancel(reason);
  }
}
