import { AxleError, type Tensor } from '@axle/core/internal';

import type { Place } from '../wire/frames.js';
import { aligned, rangeAlignment } from './ranges.js';

/** Shared memory that this server made, and that its client divides and may change at any time. */
export class ServerArena {
  constructor(
    readonly id: number,
    private readonly memory: Uint8Array,
  ) {}

  /**
   * A private copy of a range: what the client writes from then on changes nothing.
   *
   * @throws AxleError OUT_OF_RANGE.
   */
  read(place: Place): Uint8Array {
    this.check(place);
    const { offset, bytes } = place;
    const copy = Buffer.allocUnsafeSlow(bytes);
    copy.set(this.memory.subarray(offset, offset + bytes));
    return copy;
  }

  /** Where outputs of one call go. @throws AxleError OUT_OF_RANGE */
  writer(place: Place): ArenaWriter {
    this.check(place);
    return new ArenaWriter(this.id, this.memory, place);
  }

  /** @throws AxleError OUT_OF_RANGE for what is no range of it. */
  check({ arena, offset, bytes }: Place): void {
    const { byteLength } = this.memory;
    if (arena === this.id && offset % rangeAlignment === 0 && offset + bytes <= byteLength) return;
    throw new AxleError(
      'OUT_OF_RANGE',
      `there is no range of ${bytes} bytes at ${offset} of shared memory ${arena}; ` +
        `arena ${this.id} has ${byteLength} bytes, and ranges start at multiples of ${rangeAlignment}`,
    );
  }
}

/** Lays tensors into a range, one after another. */
export class ArenaWriter {
  private at: number;
  private readonly end: number;

  constructor(
    readonly arena: number,
    private readonly memory: Uint8Array,
    { offset, bytes }: Place,
  ) {
    this.at = offset;
    this.end = offset + bytes;
  }

  /** @returns where the tensor lies; undefined: it does not fit */
  write({ segments, byteLength }: Tensor): number | undefined {
    const { at: offset } = this;
    if (offset + byteLength > this.end) return undefined;
    let at = offset;
    for (const segment of segments) {
      this.memory.set(segment, at);
      at += segment.byteLength;
    }
    this.at = offset + aligned(byteLength);
    return offset;
  }
}

/** @throws AxleError OUT_OF_RANGE where no memory is shared. */
export function arenaOf({ arena }: { readonly arena: ServerArena | undefined }): ServerArena {
  if (arena !== undefined) return arena;
  throw new AxleError('OUT_OF_RANGE', 'no memory is shared on this connection');
}
