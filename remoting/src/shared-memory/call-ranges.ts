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
  private readonly inputs: Place[] = [];

  constructor(private readonly memory: ClientArena) {
    this.arena = memory.id;
  }

  write(tensor: Tensor): number | undefined {
    const place = this.memory.allocate(tensor.byteLength);
    if (place === undefined) return undefined;
    this.inputs.push(place);
    this.memory.write(place, tensor);
    return place.offset;
  }

  /** Takes a range for outputs, if there are any and there is room. */
  takePlace(bytes: number): void {
    if (bytes === 0) return;
    this.place = this.memory.allocate(bytes);
  }

  /** @throws WireError for an output that is not where it may be. */
  read({ arena, offset, bytes }: SharedTensor): Uint8Array {
    const { place } = this;
    const inside =
      place !== undefined &&
      arena === place.arena &&
      offset % rangeAlignment === 0 &&
      offset >= place.offset &&
      offset + bytes <= place.offset + place.bytes;
    if (!inside) throw new WireError('BAD_VALUE', 'RESULT');
    return this.memory.read(offset, bytes);
  }

  /** The call was answered: nothing touches them any more. */
  free(): void {
    for (const place of this.inputs.splice(0)) this.memory.free(place);
    if (this.place !== undefined) this.memory.free(this.place);
    this.place = undefined;
  }
}
