import {
  AxleError,
  copiedBytes,
  type MappedMemory,
  type NamedTensor,
  type Tensor,
} from '@axle/core/internal';

import type { Place } from '../wire/frames.js';
import { aligned, rangeAlignment } from './ranges.js';

/** Shared memory that this server made, and that its client divides and may change at any time. */
export class ServerArena {
  constructor(
    readonly id: number,
    private readonly memory: Pick<MappedMemory, 'view' | 'byteLength'>,
  ) {}

  /** A range where it lies: its content may change at any time. @throws AxleError OUT_OF_RANGE */
  view({ arena, offset, bytes }: Place): Uint8Array {
    const { byteLength } = this.memory;
    if (arena !== this.id || offset % rangeAlignment !== 0 || offset + bytes > byteLength) {
      throw new AxleError(
        'OUT_OF_RANGE',
        `there is no range of ${bytes} bytes at ${offset} of shared memory ${arena}; ` +
          `arena ${this.id} has ${byteLength} bytes, and ranges start at multiples of ${rangeAlignment}`,
      );
    }
    return this.memory.view(offset, bytes);
  }

  /** A private copy of a range: what the client writes from then on changes nothing. @throws AxleError OUT_OF_RANGE */
  copy(place: Place): Uint8Array {
    const copy = Buffer.allocUnsafeSlow(place.bytes);
    copy.set(this.view(place));
    copiedBytes.add(place.bytes);
    return copy;
  }

  /** Where outputs of one call go, some of which may lie there already. @throws AxleError OUT_OF_RANGE */
  writer(place: Place, outputs: readonly NamedTensor[]): ArenaWriter {
    return new ArenaWriter(this.id, this.view(place), place.offset, outputs);
  }
}

/** Sees to it that tensors lie in a range, one after another behind those that do already. */
export class ArenaWriter {
  private used = 0;

  /** @param start of the range, in its arena */
  constructor(
    readonly arena: number,
    private readonly range: Uint8Array,
    private readonly start: number,
    outputs: readonly NamedTensor[],
  ) {
    for (const { tensor } of outputs) {
      const laid = this.laidAt(tensor);
      if (laid !== undefined) this.used = Math.max(this.used, laid + aligned(tensor.byteLength));
    }
  }

  /** @returns where the tensor lies in the arena; undefined: it does not fit */
  write(tensor: Tensor): number | undefined {
    const laid = this.laidAt(tensor);
    if (laid !== undefined) return this.start + laid;
    const { used, range } = this;
    const { segments, byteLength } = tensor;
    if (used + byteLength > range.byteLength) return undefined;
    let at = used;
    for (const segment of segments) {
      range.set(segment, at);
      at += segment.byteLength;
    }
    copiedBytes.add(byteLength);
    this.used = used + aligned(byteLength);
    return this.start + used;
  }

  /** From the start of the range; undefined: it does not lie there, or not as it should. */
  private laidAt({ segments }: Tensor): number | undefined {
    const [first] = segments;
    if (segments.length !== 1 || first?.buffer !== this.range.buffer) return undefined;
    const at = first.byteOffset - this.range.byteOffset;
    const isInside = at >= 0 && at + first.byteLength <= this.range.byteLength;
    return isInside && at % rangeAlignment === 0 ? at : undefined;
  }
}

/** @throws AxleError OUT_OF_RANGE where no memory is shared. */
export function arenaOf({ arena }: { readonly arena: ServerArena | undefined }): ServerArena {
  if (arena !== undefined) return arena;
  throw new AxleError('OUT_OF_RANGE', 'no memory is shared on this connection');
}
