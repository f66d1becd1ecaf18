import type { NamedTensor, Tensor } from '@axle/core/internal';

import { wireLimits } from '../generated/wire.js';
import type { AbsentTensor, InlineTensor } from '../wire/frames.js';
import { headerBytes, padded } from '../wire/numbers.js';

/** What a tensor takes in a frame beside its data, at most: head, dimensions and name. */
const recordBytesMax = 16 + 8 * wireLimits.rankMax + padded(wireLimits.nameBytesMax);
/** Kept for the fixed part of a frame. */
const fixedBytes = 128;
/** Larger data is sent from where it lies instead of being copied into a frame. */
const inlineBytesMax = 16 * 1024;

/** Tensors as a CALL or RESULT carries them: small ones in the frame, the bytes of the others behind it. */
export class OutgoingTensors {
  readonly records: readonly (InlineTensor | AbsentTensor)[];
  readonly following: Tensor[] = [];
  /** Bytes that the frame has left for data. */
  private room: number;

  /** @param payloadMax what the other side takes in one frame */
  constructor(tensors: readonly NamedTensor[], names: boolean, payloadMax: number) {
    this.room = payloadMax - fixedBytes - headerBytes - tensors.length * recordBytesMax;
    // Not pushed one by one: an array that grows makes room for 17.
    this.records = tensors.map((tensor, slot) => this.recordOf(tensor, slot, names));
  }

  private recordOf(
    { name: itsName, tensor }: NamedTensor,
    slot: number,
    names: boolean,
  ): InlineTensor | AbsentTensor {
    const { dtype, shape, byteLength } = tensor;
    const name = names ? itsName : '';
    if (byteLength === 0 || (byteLength <= inlineBytesMax && padded(byteLength) <= this.room)) {
      this.room -= padded(byteLength);
      return { source: 'INLINE', slot, dtype, shape, name, data: tensor.bytes };
    }
    this.following.push(tensor);
    return { source: 'FOLLOWS', slot, dtype, shape, name, bytes: byteLength };
  }
}
