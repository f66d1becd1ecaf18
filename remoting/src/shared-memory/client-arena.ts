import { copiedBytes, type MappedMemory, type Tensor } from '@axle/core/internal';

import type { Place } from '../wire/frames.js';
import { rangeAlignment, Ranges } from './ranges.js';

/** Shared memory of a server, which its client divides. */
export class ClientArena {
  private readonly ranges: Ranges;
  /** Lengths of the ranges that were lent, by where they start. */
  private readonly lent = new Map<number, number>();
  /** Where they start, by what lies under all views of them. */
  private readonly starts = new WeakMap<ArrayBufferLike, number>();

  constructor(
    readonly id: number,
    private readonly memory: MappedMemory,
  ) {
    this.ranges = new Ranges(memory.byteLength);
  }

  get freeBytes(): number {
    this.takeBack();
    return this.ranges.freeBytes;
  }

  /** A range that is the caller's until it is freed; undefined: there is no room. */
  allocate(bytes: number): Place | undefined {
    let offset = this.ranges.allocate(bytes);
    if (offset === undefined && this.takeBack()) offset = this.ranges.allocate(bytes);
    return offset === undefined ? undefined : { arena: this.id, offset, bytes };
  }

  free({ offset, bytes }: Place): void {
    this.ranges.free(offset, bytes);
  }

  /** A range with an ArrayBuffer of its own, which comes back when nothing refers to that; undefined: there is no room. */
  lend(bytes: number): Uint8Array | undefined {
    this.takeBack();
    const place = bytes === 0 ? undefined : this.allocate(bytes);
    if (place === undefined) return undefined;
    const range = this.memory.range(place.offset, bytes);
    this.lent.set(place.offset, bytes);
    this.starts.set(range.buffer, place.offset);
    return range;
  }

  /** Where a view of a range that was lent lies; undefined: it is of none, or starts where no range may. */
  placeOf({ buffer, byteOffset, byteLength }: Uint8Array): Place | undefined {
    const start = this.starts.get(buffer);
    if (start === undefined || byteOffset % rangeAlignment !== 0) return undefined;
    return { arena: this.id, offset: start + byteOffset, bytes: byteLength };
  }

  /** Copies a tensor to a range that has room for it. */
  write({ offset }: Place, { segments, byteLength }: Tensor): void {
    const range = this.memory.view(offset, byteLength);
    let at = 0;
    for (const segment of segments) {
      range.set(segment, at);
      at += segment.byteLength;
    }
    copiedBytes.add(byteLength);
  }

  /** A copy: the range is the server's again with the next call. */
  read(offset: number, bytes: number): Uint8Array {
    const copy = Buffer.allocUnsafeSlow(bytes);
    copy.set(this.memory.view(offset, bytes));
    copiedBytes.add(bytes);
    return copy;
  }

  /** Frees what was lent and came back. @returns whether anything did */
  private takeBack(): boolean {
    const returned = this.memory.takeReturned();
    for (const offset of returned) {
      const bytes = this.lent.get(offset);
      if (bytes !== undefined) this.ranges.free(offset, bytes);
      this.lent.delete(offset);
    }
    return returned.length > 0;
  }
}
