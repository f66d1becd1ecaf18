/** A call that waits; undefined once it does not. */
export interface Ticket<C> {
  call: C | undefined;
  readonly offeredAt: number;
}

/** What was taken out is cut off when it is more than that, and than what is left. */
const goneMax = 64;

/** Calls in order of arrival, any of which may leave. */
export class CallQueue<C> {
  private readonly tickets: Ticket<C>[] = [];
  private front = 0;
  private waiting = 0;

  get size(): number {
    return this.waiting;
  }

  push(call: C, now: number): Ticket<C> {
    const ticket: Ticket<C> = { call, offeredAt: now };
    this.tickets.push(ticket);
    this.waiting += 1;
    return ticket;
  }

  /** @returns whether it waited. */
  leave(ticket: Ticket<C>): boolean {
    if (ticket.call === undefined) return false;
    ticket.call = undefined;
    this.waiting -= 1;
    return true;
  }

  oldest(): Ticket<C> | undefined {
    const { tickets } = this;
    while (this.front < tickets.length && tickets[this.front]?.call === undefined) this.front += 1;
    if (this.front === tickets.length) {
      tickets.length = 0;
      this.front = 0;
    } else if (this.front > goneMax && this.front * 2 > tickets.length) {
      tickets.splice(0, this.front);
      this.front = 0;
    }
    return tickets[this.front];
  }
}
