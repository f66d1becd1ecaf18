import type { AxleError } from '@axle/core/internal';

import type { RawFrame } from '../wire/frame-splitter.js';

/** What waits for the answer of a handle. */
export interface PendingAnswer {
  /** Any frame of the handle but ERROR. @returns whether it was the last */
  onFrame(raw: RawFrame): boolean;
  /** Nothing more comes. */
  onFailed(error: AxleError): void;
}

interface Slot {
  readonly id: number;
  readonly pending: PendingAnswer;
}

const slotsAtFirst = 1024;

/**
 * Handles without their final answer. An array by slot and not a Map: a Map from which as much is deleted as is added
 * makes a new table every few calls, and the old tables keep what was in them alive.
 */
export class PendingAnswers {
  private slots: (Slot | undefined)[] = new Array<undefined>(slotsAtFirst).fill(undefined);

  add(id: number, pending: PendingAnswer): void {
    while (this.slots[id % this.slots.length] !== undefined) this.grow();
    this.slots[id % this.slots.length] = { id, pending };
  }

  get(id: number): PendingAnswer | undefined {
    const slot = this.slots[id % this.slots.length];
    return slot?.id === id ? slot.pending : undefined;
  }

  delete(id: number): void {
    if (this.get(id) !== undefined) this.slots[id % this.slots.length] = undefined;
  }

  takeAll(): PendingAnswer[] {
    return this.takePast(0);
  }

  /** Those of handles past `last`. */
  takePast(last: number): PendingAnswer[] {
    const taken = this.slots.filter((slot) => slot !== undefined && slot.id > last) as Slot[];
    for (const { id } of taken) this.delete(id);
    return taken.map(({ pending }) => pending);
  }

  /** Handles that are open together differ by less than there are slots, once there are enough. */
  private grow(): void {
    const before = this.slots;
    this.slots = new Array<undefined>(before.length * 2).fill(undefined);
    for (const slot of before) {
      if (slot !== undefined) this.slots[slot.id % this.slots.length] = slot;
    }
  }
}
