import type { NamedTensor, Tensor } from '@axle/core/internal';

import { wireLimits } from '../generated/wire.js';
import type { AbsentTensor, InlineTensor, SharedTensor } from '../wire/frames.js';
import { headerBytes, padded } from '../wire/numbers.js';

/** What a tensor takes in a frame beside its data, at most: head, dimensions and name. */
const recordBytesMax = 16 + 8 * wireLimits.rankMax + padded(wireLimits.nameBytesMax);
/** Kept for the fixed part of a frame. */
const fixedBytes = 128;
/** Larger data is sent from where it lies instead of being copied into a frame. */
const inlineBytesMax = 16 * 1024;

/** Shared memory for tensors that are too large for a frame. */
export interface SharedRoom {
  readonly arena: number;
  /** Sees to it that a tensor is there. @returns where it lies; undefined: there is no room */
  write(tensor: Tensor): number | undefined;
}

/**
 * Tensors as a CALL or RESULT carries them: small ones in the frame, others in shared memory where there is some, or their
 * bytes behind the frame.
 */
export class OutgoingTensors {
  readonly records: readonly (InlineTensor | AbsentTensor | SharedTensor)[];
  private left: number;
  private behind: Tensor[] | undefined = undefined;

  /** @param payloadMax what the other side takes in one frame */
  constructor(
    tensors: readonly NamedTensor[],
    private readonly names: boolean,
    payloadMax: number,
    private readonly shared?: SharedRoom,
  ) {
    this.left = payloadMax - fixedBytes - headerBytes - tensors.length * recordBytesMax;
    const [only] = tensors;
    // Not pushed one by one: an array that grows makes room for 17.
    if (tensors.length === 1 && only !== undefined) this.records = [this.recordOf(only, 0)];
    else this.records = tensors.map((tensor, index) => this.recordOf(tensor, index));
  }

  get following(): readonly Tensor[] {
    return this.behind ?? nothing;
  }

  /** Bytes left in the frame for what follows the records. */
  get room(): number {
    return this.left;
  }

  private recordOf(
    { name: itsName, tensor, position }: NamedTensor,
    index: number,
  ): InlineTensor | AbsentTensor | SharedTensor {
    const { dtype, shape, byteLength } = tensor;
    const { shared } = this;
    const name = this.names ? itsName : '';
    const slot = position ?? index;
    const bytes = padded(byteLength);
    if (byteLength === 0 || (byteLength <= inlineBytesMax && bytes <= this.left)) {
      this.left -= bytes;
      return { source: 'INLINE', slot, dtype, shape, name, data: tensor.bytes };
    }
    const head = { slot, dtype, shape, name, bytes: byteLength };
    const offset = shared?.write(tensor);
    if (shared !== undefined && offset !== undefined) {
      return { source: 'SHARED', ...head, arena: shared.arena, offset };
    }
    (this.behind ??= []).push(tensor);
    return { source: 'FOLLOWS', ...head };
  }
}

const nothing: readonly Tensor[] = Object.freeze([]);

/** Tensors whose bytes are not sent. */
export function omittedTensors(
  tensors: readonly NamedTensor[],
  names: boolean,
  payloadMax: number,
): Pick<OutgoingTensors, 'records' | 'following' | 'room'> {
  const records = tensors.map(
    ({ name, tensor: { dtype, shape, byteLength }, position }, index): AbsentTensor => ({
      source: 'OMITTED',
      slot: position ?? index,
      dtype,
      shape,
      name: names ? name : '',
      bytes: byteLength,
    }),
  );
  const room = payloadMax - fixedBytes - headerBytes - tensors.length * recordBytesMax;
  return { records, following: [], room };
}
