import type { Tensor } from '@axle/core/internal';

import type { Place } from '../wire/frames.js';
import { Ranges } from './ranges.js';

/** Shared memory of a server, which its client divides. */
export class ClientArena {
  private readonly ranges: Ranges;

  constructor(
    readonly id: number,
    private readonly memory: Uint8Array,
  ) {
    this.ranges = new Ranges(memory.byteLength);
  }

  get freeBytes(): number {
    return this.ranges.freeBytes;
  }

  /** A range that is the caller's until it is freed; undefined: there is no room. */
  allocate(bytes: number): Place | undefined {
    const offset = this.ranges.allocate(bytes);
    return offset === undefined ? undefined : { arena: this.id, offset, bytes };
  }

  free({ offset, bytes }: Place): void {
    this.ranges.free(offset, bytes);
  }

  /** Copies a tensor to a range that has room for it. */
  write({ offset }: Place, { segments }: Tensor): void {
    let at = offset;
    for (const segment of segments) {
      this.memory.set(segment, at);
      at += segment.byteLength;
    }
  }

  /** A copy: the range goes back to the server with the next call. */
  read(offset: number, bytes: number): Uint8Array {
    const copy = Buffer.allocUnsafeSlow(bytes);
    copy.set(this.memory.subarray(offset, offset + bytes));
    return copy;
  }
}
