import { Tensor, type NamedTensor } from '@axle/core/internal';

import type { InputTensor, OutputTensor } from '../wire/frames.js';
import { WireError } from '../wire/wire-error.js';

/** A tensor of a frame, as core sees it once its bytes are there. */
interface Incoming {
  readonly name: string;
  readonly record: Exclude<InputTensor | OutputTensor, { readonly source: 'HANDLE' | 'SHARED' }>;
  readonly segments: Uint8Array[];
  left: number;
}

/** The tensors of one CALL or RESULT, gathered from the frame itself and from the DATA that follows it. */
export class IncomingTensors {
  private readonly tensors: Incoming[] = [];
  /** The first whose bytes are not all there. */
  private next = 0;

  /** The bytes of `INLINE` tensors and of DATA are kept as they lie. */
  add(record: Incoming['record'], name: string): void {
    const inline = record.source === 'INLINE';
    const left = record.source === 'FOLLOWS' ? record.bytes : 0;
    this.tensors.push({ name, record, segments: inline ? [record.data] : [], left });
  }

  get isComplete(): boolean {
    for (; this.next < this.tensors.length; this.next++) {
      if ((this.tensors[this.next] as Incoming).left > 0) return false;
    }
    return true;
  }

  /** @throws WireError DATA_UNEXPECTED for bytes that no tensor has announced. */
  take(data: Uint8Array): void {
    if (this.isComplete) throw new WireError('DATA_UNEXPECTED', 'DATA');
    const tensor = this.tensors[this.next] as Incoming;
    if (data.byteLength > tensor.left) throw new WireError('DATA_UNEXPECTED', 'DATA');
    tensor.left -= data.byteLength;
    tensor.segments.push(data);
  }

  /**
   * To be called once they are complete.
   *
   * @throws AxleError INVALID_ARGUMENT for a BYTES tensor whose elements do not fill it.
   */
  read(): NamedTensor[] {
    return this.tensors.map(({ name, record, segments }, index) => {
      const { dtype, shape, slot } = record;
      // Of other types the size was checked with the frame.
      const tensor =
        dtype === 'BYTES'
          ? Tensor.fromSegments(dtype, segments, shape)
          : Tensor.adopt(dtype, segments, shape);
      // Outputs may leave out one before.
      return slot === index ? { name, tensor } : { name, tensor, position: slot };
    });
  }
}

/** Bytes that come after the frame. */
export function followingBytes(records: readonly (InputTensor | OutputTensor)[]): number {
  let bytes = 0;
  for (const record of records) {
    if (record.source === 'FOLLOWS') bytes += record.bytes;
  }
  return bytes;
}
