/** What a `LinkedSet` may have; nobody else writes these. A thing is in one at a time. */
export interface Linked<Item> {
  isLinked: boolean;
  linkedBefore: Item | undefined;
  linkedAfter: Item | undefined;
}

/**
 * Things in the order in which they came. A Set has the same, and for what comes and goes with each call it costs more than
 * the call does: the tables that it grew out of refer to what was in them and to the tables after them, so that one of these
 * which is old keeps all that came since alive from one scavenge to the next.
 */
export class LinkedSet<Item extends Linked<Item>> implements Iterable<Item> {
  private count = 0;
  private last: Item | undefined = undefined;
  private head: Item | undefined = undefined;

  get size(): number {
    return this.count;
  }

  /** That which came first, of those that are there. */
  get first(): Item | undefined {
    return this.head;
  }

  add(item: Item): void {
    if (item.isLinked) return;
    const { last } = this;
    item.isLinked = true;
    item.linkedBefore = last;
    if (last === undefined) this.head = item;
    else last.linkedAfter = item;
    this.last = item;
    this.count += 1;
  }

  /** @returns whether it was there */
  delete(item: Item): boolean {
    if (!item.isLinked) return false;
    const { linkedBefore: before, linkedAfter: after } = item;
    if (before === undefined) this.head = after;
    else before.linkedAfter = after;
    if (after === undefined) this.last = before;
    else after.linkedBefore = before;
    item.isLinked = false;
    // What is gone refers to nothing that is there.
    item.linkedBefore = undefined;
    item.linkedAfter = undefined;
    this.count -= 1;
    return true;
  }

  /** That which it is at may be deleted meanwhile. */
  *[Symbol.iterator](): Generator<Item, void, undefined> {
    let item = this.head;
    while (item !== undefined) {
      const after: Item | undefined = item.linkedAfter;
      yield item;
      item = after;
    }
  }
}
