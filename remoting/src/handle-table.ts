interface Slot<T> {
  readonly id: number;
  readonly value: T;
}

const slotsMin = 1024;

/**
 * What is open, by handle. Handles rise, most of them are open for a short time, and so nearly all lie in an array by
 * slot: a Map from which as much is deleted as is added makes a new table every few calls, and the old tables keep what was
 * in them alive. One that stays open while many come and go moves to a Map when its slot is wanted.
 */
export class HandleTable<T> {
  private slots: (Slot<T> | undefined)[] = new Array<undefined>(slotsMin).fill(undefined);
  private readonly stayed = new Map<number, T>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** The lowest handle that is open; looks at all of them. Infinity: none is. */
  get lowest(): number {
    return this.ids().reduce((lowest, id) => Math.min(lowest, id), Infinity);
  }

  /** `id` must not be open. */
  add(id: number, value: T): void {
    if (this.count * 2 >= this.slots.length) this.grow();
    this.place({ id, value });
    this.count += 1;
  }

  get(id: number): T | undefined {
    const slot = this.slots[id % this.slots.length];
    return slot?.id === id ? slot.value : this.stayed.get(id);
  }

  delete(id: number): void {
    const at = id % this.slots.length;
    if (this.slots[at]?.id === id) this.slots[at] = undefined;
    else if (!this.stayed.delete(id)) return;
    this.count -= 1;
  }

  /** Takes out those of handles past `last`. */
  takePast(last: number): [id: number, value: T][] {
    const ids = this.ids().filter((id) => id > last);
    return ids.map((id) => {
      const value = this.get(id) as T;
      this.delete(id);
      return [id, value];
    });
  }

  private ids(): number[] {
    return [
      ...this.stayed.keys(),
      ...this.slots.flatMap((slot) => (slot === undefined ? [] : [slot.id])),
    ];
  }

  private place(slot: Slot<T>): void {
    const at = slot.id % this.slots.length;
    const before = this.slots[at];
    if (before !== undefined) this.stayed.set(before.id, before.value);
    this.slots[at] = slot;
  }

  private grow(): void {
    const before = this.slots;
    this.slots = new Array<undefined>(before.length * 2).fill(undefined);
    for (const slot of before) if (slot !== undefined) this.place(slot);
  }
}
