/** What waits for its turn. */
interface Waiting {
  /** May be called at any time. */
  startIfReady(): void;
}

/** Calls of a STATEFUL op: one after another, in the order in which they came. */
export class Turns {
  private readonly line = new Set<Waiting>();

  enter(call: Waiting): void {
    this.line.add(call);
  }

  isNext(call: Waiting): boolean {
    return this.first === call;
  }

  /** It is done, or wanted no more; may be called again. */
  leave(call: Waiting): void {
    const wasNext = this.isNext(call);
    this.line.delete(call);
    if (wasNext) this.first?.startIfReady();
  }

  private get first(): Waiting | undefined {
    for (const call of this.line) return call;
    return undefined;
  }
}
