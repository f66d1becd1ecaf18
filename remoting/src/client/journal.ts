import type { AxleError } from '@axle/core/internal';

import type { WireClient } from './wire-client.js';

/** What is made again, under its old number, on the connection that takes the place of a lost one. */
export interface Journalled {
  readonly id: number;
  /** What it names, which must be there again though it may have been released by now. */
  readonly needs?: Journalled | undefined;
  /** It cannot be made again. */
  onFailed(error: AxleError): void;
  /** Says on a connection what makes the handle; answers may come a second time. */
  sendOn(client: WireClient): void;
}

/** The bindings, models and tensors that a client holds, over all its connections. */
export class Journal {
  private readonly held = new Map<number, Journalled>();

  get size(): number {
    return this.held.size;
  }

  add(thing: Journalled): void {
    this.held.set(thing.id, thing);
  }

  has(id: number): boolean {
    return this.held.has(id);
  }

  remove(id: number): boolean {
    return this.held.delete(id);
  }

  /** All that is held, `calls`, and what these need, in the order of their numbers. */
  with(calls: Iterable<Journalled>): Journalled[] {
    const all = new Map(this.held);
    for (const call of calls) {
      for (let each: Journalled | undefined = call; each !== undefined; each = each.needs) {
        all.set(each.id, each);
      }
    }
    return [...all.values()].sort((a, b) => a.id - b.id);
  }
}
