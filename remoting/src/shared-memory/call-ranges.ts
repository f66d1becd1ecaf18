import type { Tensor } from '@axle/core/internal';

import type { SharedRoom } from '../tensors/outgoing.js';
import type { Place, SharedTensor } from '../wire/frames.js';
import { WireError } from '../wire/wire-error.js';
import type { ClientArena } from './client-arena.js';
import { rangeAlignment } from './ranges.js';

/** The ranges of shared memory that one call has until it is answered. */
export class CallRanges implements SharedRoom {
  readonly arena: number;
  /** For its outputs. */
  place: Place | undefined = undefined;
  /** What lies there, if it is the caller's: outputs are left in it. */
  private into: Uint8Array | undefined = undefined;
  /** To be freed. Most calls are small and take none. */
  private taken: Place[] | undefined = undefined;

  constructor(private readonly memory: ClientArena) {
    this.arena = memory.id;
  }

  write(tensor: Tensor): number | undefined {
    const [first] = tensor.segments;
    const there = tensor.segments.length === 1 && first && this.memory.placeOf(first);
    if (there) return there.offset;
    const place = this.take(tensor.byteLength);
    if (place !== undefined) this.memory.write(place, tensor);
    return place?.offset;
  }

  /**
   * Says where outputs go: into memory of the caller's that lies here, else into a range of `bytes`, if there are any and
   * there is room.
   */
  takePlace(into: Uint8Array | undefined, bytes: number): void {
    this.place = into && this.memory.placeOf(into);
    if (this.place !== undefined) this.into = into;
    else if (bytes > 0) this.place = this.take(bytes);
  }

  /**
   * Memory of the caller's where the output lies there, else a copy. Of what has to be parsed it is always one.
   *
   * @throws WireError for an output that is not where it may be.
   */
  read({ arena, offset, bytes, dtype }: SharedTensor): Uint8Array {
    const { place, into } = this;
    if (
      place === undefined ||
      arena !== place.arena ||
      offset % rangeAlignment !== 0 ||
      offset < place.offset ||
      offset + bytes > place.offset + place.bytes
    ) {
      throw new WireError('BAD_VALUE', 'RESULT');
    }
    if (into === undefined || dtype === 'BYTES') return this.memory.read(offset, bytes);
    return into.subarray(offset - place.offset, offset - place.offset + bytes);
  }

  /** The call was answered: nothing touches them any more. */
  free(): void {
    this.place = undefined;
    const { taken } = this;
    if (taken === undefined) return;
    this.taken = undefined;
    for (const place of taken) this.memory.free(place);
  }

  private take(bytes: number): Place | undefined {
    const place = this.memory.allocate(bytes);
    if (place !== undefined) (this.taken ??= []).push(place);
    return place;
  }
}
