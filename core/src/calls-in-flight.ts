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

  remove(call: Cancellation): void {
    const last = this.calls.pop();
    if (last === undefined || last === call) return;
    this.calls[call.place] = last;
    last.place = call.place;
  }

  cancelAll(reason: unknown): void {
    for (const call of [...this.calls]) call.cancel(reason);
  }
}
