import {
  adoptTensor,
  Tensor,
  tensorElsewhere,
  type NamedTensor,
  type TensorPlace,
} from '@axle/core/internal';

import type { AbsentTensor, InputTensor, OutputTensor, SharedTensor } from '../wire/frames.js';
import { WireError } from '../wire/wire-error.js';

type Announced = Exclude<
  InputTensor | OutputTensor,
  { readonly source: 'HANDLE' } | { readonly source: 'SHARED' }
>;

/** Of calls without any; never written to. */
const noTensors: NamedTensor[] = [];

/** A tensor whose bytes come behind the frame. */
interface Awaited {
  /** Its tensor's own. */
  readonly segments: Uint8Array[];
  left: number;
}

/** The tensors of one CALL or RESULT, gathered from the frame itself and from the DATA that follows it. */
export class IncomingTensors {
  private tensors: NamedTensor[] = noTensors;
  /** Most have none. */
  private awaited: Awaited[] | undefined = undefined;
  /** The first of those whose bytes are not all there. */
  private next = 0;
  private unchecked = false;

  /** @param sparse outputs, of which one before may have been left out */
  constructor(private readonly sparse: boolean) {}

  /**
   * Of shared memory; its bytes are `data`.
   *
   * @param mayChange the other side may write to them at any time
   */
  addShared(
    { slot, dtype, shape }: SharedTensor,
    name: string,
    data: Uint8Array,
    mayChange = false,
  ): void {
    this.add({ source: 'INLINE', slot, dtype, shape, name: '', data }, name, mayChange);
  }

  /** The bytes of `INLINE` tensors and of DATA are kept as they lie. */
  add(record: Announced, name: string, mayChange = false): void {
    const { dtype, shape, source, slot } = record;
    const segments = source === 'INLINE' ? [record.data] : [];
    if (source === 'FOLLOWS') (this.awaited ??= []).push({ segments, left: record.bytes });
    // Of other types the size was checked with the frame.
    if (dtype === 'BYTES') this.unchecked = true;
    const tensor = adoptTensor(dtype, segments, shape, mayChange);
    const inPlace = !this.sparse || slot === this.tensors.length;
    const named = inPlace ? { name, tensor } : { name, tensor, position: slot };
    // Pushing onto an empty array makes room for 17.
    if (this.tensors.length === 0) this.tensors = [named];
    else this.tensors.push(named);
  }

  /** Whose bytes stay where they are. */
  addPlaced({ dtype, shape, slot }: AbsentTensor, name: string, place: TensorPlace): void {
    const tensor = tensorElsewhere(dtype, shape, place);
    const inPlace = slot === this.tensors.length;
    const named = inPlace ? { name, tensor } : { name, tensor, position: slot };
    if (this.tensors.length === 0) this.tensors = [named];
    else this.tensors.push(named);
  }

  get isComplete(): boolean {
    return this.awaited === undefined || this.next === this.awaited.length;
  }

  /** @throws WireError DATA_UNEXPECTED for bytes that no tensor has announced. */
  take(data: Uint8Array): void {
    const tensor = this.awaited?.[this.next];
    if (tensor === undefined || data.byteLength > tensor.left) {
      throw new WireError('DATA_UNEXPECTED', 'DATA');
    }
    tensor.left -= data.byteLength;
    tensor.segments.push(data);
    if (tensor.left === 0) this.next += 1;
  }

  /**
   * To be called once they are complete.
   *
   * @throws AxleError INVALID_ARGUMENT for a BYTES tensor whose elements do not fill it.
   */
  read(): readonly NamedTensor[] {
    return this.unchecked ? this.tensors.map(checked) : this.tensors;
  }
}

function checked(named: NamedTensor): NamedTensor {
  const { dtype, segments, shape } = named.tensor;
  if (dtype !== 'BYTES') return named;
  return { ...named, tensor: Tensor.fromSegments(dtype, segments, shape) };
}

/** Bytes that come after the frame. */
export function followingBytes(records: readonly (InputTensor | OutputTensor)[]): number {
  let bytes = 0;
  for (const record of records) {
    if (record.source === 'FOLLOWS') bytes += record.bytes;
  }
  return bytes;
}

/** Bytes that lie in shared memory. */
export function sharedBytes(records: readonly (InputTensor | OutputTensor)[]): number {
  let bytes = 0;
  for (const record of records) {
    if (record.source === 'SHARED') bytes += record.bytes;
  }
  return bytes;
}

/** Bytes that come in the frame, after it, and in shared memory. */
export function inputBytes(records: readonly InputTensor[]): number {
  let bytes = 0;
  for (const record of records) {
    if (record.source === 'INLINE') bytes += record.data.length;
    else if (record.source !== 'HANDLE') bytes += record.bytes;
  }
  return bytes;
}
