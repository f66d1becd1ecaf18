import { inspect } from 'node:util';

import { checkAttached } from './attached-memory.js';
import { copiedBytes } from './copied-bytes.js';
import { AxleError } from './errors.js';
import { DATA_TYPE_BYTES, type DataTypeName } from './generated/constants.js';
import { isResizable } from './resizable-memory.js';

/** The typed array under each data type. FP16 and BF16 are bit patterns; BOOL is 0 or 1. */
export interface TensorDataOf {
  BOOL: Uint8Array;
  UINT8: Uint8Array;
  UINT16: Uint16Array;
  UINT32: Uint32Array;
  UINT64: BigUint64Array;
  INT8: Int8Array;
  INT16: Int16Array;
  INT32: Int32Array;
  INT64: BigInt64Array;
  FP16: Uint16Array;
  FP32: Float32Array;
  FP64: Float64Array;
  BF16: Uint16Array;
  /** Strings go in and come out as UTF-8. */
  BYTES: readonly string[] | readonly Uint8Array[];
}
export type TensorData = TensorDataOf[DataTypeName];

type ArrayConstructorOf = new (
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
) => Exclude<TensorData, readonly unknown[]>;

const arrayConstructors: ReadonlyMap<string, ArrayConstructorOf> = new Map(
  Object.entries({
    BOOL: Uint8Array,
    UINT8: Uint8Array,
    UINT16: Uint16Array,
    UINT32: Uint32Array,
    UINT64: BigUint64Array,
    INT8: Int8Array,
    INT16: Int16Array,
    INT32: Int32Array,
    INT64: BigInt64Array,
    FP16: Uint16Array,
    FP32: Float32Array,
    FP64: Float64Array,
    BF16: Uint16Array,
  }),
);

/**
 * So much is copied before another thread sees it (`kCopiedInputBytesMax` of the addon), so that its memory may be resizable:
 * asking for the memory under an array takes as long as all else about making a tensor.
 */
const copiedBytesMax = 1023;

/** What `new Tensor` takes from this file only. */
const ownKey = Symbol('Tensor');

/** A tensor of any type, told apart by `dtype`: where that is 'FP32', `data` is a Float32Array. */
export type AnyTensor = { [T in DataTypeName]: Tensor<T> }[DataTypeName];

/** The constructor, for the functions of this file. */
let newTensor: <T extends DataTypeName>(
  dtype: T,
  shape: readonly number[],
  segments: readonly Uint8Array[],
  mayChange?: boolean,
  place?: TensorPlace,
) => Tensor<T>;

/** Where the bytes of a tensor lie that are not in this process. */
export interface TensorPlace {
  /** Name of the backend that they lie with. */
  readonly backend: string;
  readonly byteLength: number;
  /** Frees them. */
  release(): void;
}

/**
 * A dense, row-major, little-endian tensor. `bytes` is its raw form as KServe v2 defines it, which is what devices and
 * the wire see; `data` is the typed view of the same memory (a copy only for BYTES and for unaligned memory).
 */
export class Tensor<T extends DataTypeName = DataTypeName> {
  static {
    newTensor = (dtype, shape, segments, mayChange, place) =>
      new Tensor(ownKey, dtype, shape, segments, mayChange, place);
  }

  private joined: Uint8Array | undefined;

  private constructor(
    key: symbol,
    readonly dtype: T,
    /** Sizes of the dimensions, outermost first; empty for a scalar. */
    readonly shape: readonly number[],
    /** The raw form in the pieces that it lies in, one after another. */
    readonly segments: readonly Uint8Array[],
    /** Another process may write to the memory at any time: only code that no value of a byte can harm may read it. */
    readonly mayChange = false,
    /** @internal Of one that a caller sees as KeptTensor only; it has no segments. */
    readonly place: TensorPlace | undefined = undefined,
  ) {
    // Callers in plain JavaScript have no types to tell them.
    if (key === ownKey) return;
    const advice = 'make it with Tensor.from, or with Tensor.fromBytes from its raw bytes';
    throw new AxleError('INVALID_ARGUMENT', `a tensor is not made with new; ${advice}`);
  }

  /**
   * Wraps `data` without copying it, unless its memory is resizable. BOOL takes booleans too, FP16 and BF16 take bit patterns in a Uint16Array.
   *
   * @throws AxleError INVALID_ARGUMENT when the array is of another kind or length than `dtype` and `shape` ask for.
   */
  static from<T extends DataTypeName>(
    dtype: T,
    data: TensorDataOf[T] | readonly boolean[],
    shape: readonly number[],
  ): Tensor<T> {
    elementCount(shape);
    return tensorOver(dtype, data, [...shape], false);
  }

  /**
   * Wraps raw bytes without copying them.
   *
   * @throws AxleError INVALID_ARGUMENT when their length is not what `dtype` and `shape` ask for.
   */
  static fromBytes<T extends DataTypeName>(
    dtype: T,
    bytes: Uint8Array,
    shape: readonly number[],
  ): Tensor<T> {
    return Tensor.fromSegments(dtype, [bytes], shape);
  }

  /**
   * Wraps raw bytes that lie in several pieces, without copying them. Devices take them so; `bytes` and `data` put
   * them together.
   *
   * @throws AxleError INVALID_ARGUMENT when their length is not what `dtype` and `shape` ask for.
   */
  static fromSegments<T extends DataTypeName>(
    dtype: T,
    segments: readonly Uint8Array[],
    shape: readonly number[],
  ): Tensor<T> {
    checkDataType(dtype);
    // `some` of the array itself passes over holes.
    const pieces: readonly unknown[] = Array.isArray(segments) ? Array.from(segments) : [segments];
    const isArray: boolean = Array.isArray(segments);
    if (!isArray || pieces.some((piece) => !(piece instanceof Uint8Array))) {
      throw new AxleError('INVALID_ARGUMENT', 'the raw bytes of a tensor are given as Uint8Arrays');
    }
    const count = elementCount(shape);
    const tensor = new Tensor(ownKey, dtype, [...shape], segments);
    if (dtype === 'BYTES') {
      checkLength(dtype, shape, count, tensor.elements.length);
      return tensor;
    }
    const expected = count * DATA_TYPE_BYTES[dtype];
    const actual = segments.reduce((sum, segment) => sum + segment.byteLength, 0);
    if (actual !== expected) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `a ${dtype} tensor of shape [${shape.join(', ')}] has ${expected} bytes, got ${actual}`,
      );
    }
    if (dtype === 'BOOL') segments.forEach(checkBooleans);
    return tensor;
  }

  /** Of the raw form. */
  get byteLength(): number {
    let bytes = this.place?.byteLength ?? 0;
    // `length` is compiled in place, `byteLength` of a typed array is a call.
    for (const segment of this.segments) bytes += segment.length;
    return bytes;
  }

  /**
   * The raw form; a copy where it lies in several pieces. Of a small result the ArrayBuffer beneath is shared with other
   * results, as small Buffers share theirs: copy before giving `.buffer` away.
   */
  get bytes(): Uint8Array {
    const [first] = this.segments;
    if (this.segments.length === 1 && first !== undefined) return first;
    this.joined ??= Buffer.concat(this.segments);
    return this.joined;
  }

  /** The elements. For BYTES, strings decoded as UTF-8; `Tensor.elements` has the raw bytes. */
  get data(): T extends 'BYTES' ? readonly string[] : TensorDataOf[T] {
    return this.typedData() as T extends 'BYTES' ? readonly string[] : TensorDataOf[T];
  }

  private typedData(): unknown {
    if (this.dtype === 'BYTES') return this.elements.map((element) => textDecoder.decode(element));
    const constructor = constructorOf(this.dtype);
    const size = DATA_TYPE_BYTES[this.dtype];
    const { bytes } = this;
    const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
    return new constructor(aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
  }

  /** The elements of a BYTES tensor as views of its memory. */
  get elements(): readonly Uint8Array[] {
    return this.dtype === 'BYTES' ? unpackBytes(this.bytes) : [];
  }

  /** The same memory under another shape with as many elements. */
  reshape(shape: readonly number[]): Tensor<T> {
    checkLength(this.dtype, shape, elementCount(shape), elementCount(this.shape));
    return new Tensor(ownKey, this.dtype, [...shape], this.segments, this.mayChange);
  }
}

/**
 * For core's own use: as `Tensor.from`, but the shape is taken over.
 *
 * @param isForCall it lives no longer than one call, and is refused where its memory is resized meanwhile
 */
export function tensorOver<T extends DataTypeName>(
  dtype: T,
  data: TensorDataOf[T] | readonly boolean[],
  shape: readonly number[],
  isForCall: boolean,
): Tensor<T> {
  const count = elementCount(shape);
  const expected = arrayConstructors.get(dtype);
  if (expected === undefined) {
    checkDataType(dtype);
    const elements = checkedElements(data);
    checkLength(dtype, shape, count, elements.length);
    return newTensor(dtype, shape, [packBytes(elements)]);
  }
  const array = dtype === 'BOOL' && Array.isArray(data) ? booleansToBytes(data) : data;
  if (!(array instanceof expected)) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `a ${dtype} tensor takes a ${expected.name}, got ${describe(array)}; convert the data or change the type`,
    );
  }
  const { length } = array;
  if (length === 0) checkAttached(array.buffer, 'tensor');
  checkLength(dtype, shape, count, length);
  const isSmall = isForCall && array instanceof Uint8Array && length <= copiedBytesMax;
  const bytes = isSmall ? array : rawBytes(array);
  if (dtype === 'BOOL') checkBooleans(bytes);
  return newTensor(dtype, shape, [bytes]);
}

/** For core's own use: takes over what it is given, without copying or checking any of it. */
export function adoptTensor(
  dtype: DataTypeName,
  segments: readonly Uint8Array[],
  shape: readonly number[],
  mayChange = false,
): Tensor {
  return newTensor(dtype, shape, segments, mayChange);
}

/** For core's own use: one whose bytes lie elsewhere. */
export function tensorElsewhere(
  dtype: DataTypeName,
  shape: readonly number[],
  place: TensorPlace,
): Tensor {
  return newTensor(dtype, shape, [], false, place);
}

/** For core's own use: nobody wants it any more; of effect where its bytes lie elsewhere. */
export function releaseTensor({ place }: Tensor): void {
  place?.release();
}

/** For core's own use: the same in memory that nobody else writes to; itself if it is there already. */
export function privateTensor<T extends DataTypeName>(tensor: Tensor<T>): Tensor<T> {
  if (!tensor.mayChange) return tensor;
  const { byteLength, dtype, shape, segments } = tensor;
  const copy = Buffer.allocUnsafeSlow(byteLength);
  let at = 0;
  for (const segment of segments) {
    copy.set(segment, at);
    at += segment.byteLength;
  }
  copiedBytes.add(byteLength);
  return newTensor(dtype, shape, [copy]);
}

function rawBytes(array: Exclude<TensorData, readonly unknown[]>): Uint8Array {
  if (isResizable(array.buffer)) return rawBytes(array.slice());
  // A view costs more than the rest of making a tensor. A Buffer is a Uint8Array that behaves otherwise.
  if (array.constructor === Uint8Array) return array;
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** What a device makes of another value is not said anywhere. */
function checkBooleans(bytes: Uint8Array): void {
  for (const byte of bytes) {
    if (byte <= 1) continue;
    throw new AxleError('INVALID_ARGUMENT', `a BOOL is 0 or 1, not ${byte}; give UINT8 otherwise`);
  }
}

function constructorOf(dtype: DataTypeName): ArrayConstructorOf {
  const constructor = arrayConstructors.get(dtype);
  if (constructor !== undefined) return constructor;
  throw new AxleError('INTERNAL', `${dtype} tensors are no typed arrays`);
}

const textDecoder = new TextDecoder();
const textEncoder = new TextEncoder();

/** Number of elements of a shape. Throws INVALID_ARGUMENT on sizes that are no count. */
export function elementCount(shape: readonly number[]): number {
  if (!Array.isArray(shape)) {
    throw new AxleError('INVALID_ARGUMENT', `a shape is an array of sizes, not ${describe(shape)}`);
  }
  let count = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `[${shape.map((each: unknown) => inspect(each, { depth: 0 })).join(', ')}] is no shape: sizes are whole numbers from 0 up`,
      );
    }
    count *= size;
  }
  if (!Number.isSafeInteger(count)) {
    throw new AxleError('INVALID_ARGUMENT', `[${shape.join(', ')}] has more elements than fit`);
  }
  return count;
}

const dataTypes: ReadonlySet<string> = new Set(Object.keys(DATA_TYPE_BYTES));

function checkDataType(dtype: string): void {
  if (dataTypes.has(dtype)) return;
  const shown = inspect(dtype, { depth: 0, maxStringLength: 100 });
  throw new AxleError(
    'INVALID_ARGUMENT',
    `there is no data type ${shown}; give one of ${Object.keys(DATA_TYPE_BYTES).join(', ')}`,
  );
}

function checkedElements(data: unknown): readonly string[] | readonly Uint8Array[] {
  const elements: readonly unknown[] = Array.isArray(data) ? data : [undefined];
  // An element that is undefined, or not there, is wrong too.
  const wrong = elements.findIndex(
    (element) => typeof element !== 'string' && !(element instanceof Uint8Array),
  );
  if (wrong < 0) return elements as string[] | Uint8Array[];
  throw new AxleError(
    'INVALID_ARGUMENT',
    `a BYTES tensor takes an array of strings or of Uint8Arrays, got ${
      Array.isArray(data) ? `one that holds ${describe(elements[wrong])}` : describe(data)
    }`,
  );
}

function checkLength(
  dtype: DataTypeName,
  shape: readonly number[],
  expected: number,
  actual: number,
) {
  if (expected === actual) return;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `a ${dtype} tensor of shape [${shape.join(', ')}] has ${expected} elements, got ${actual}`,
  );
}

function describe(value: unknown): string {
  if (value === null || typeof value !== 'object') return typeof value;
  return (value as { constructor?: { name?: string } }).constructor?.name ?? 'object';
}

function booleansToBytes(values: readonly unknown[]): Uint8Array {
  return Uint8Array.from(values, (value) => (value ? 1 : 0));
}

function packBytes(elements: readonly string[] | readonly Uint8Array[]): Uint8Array {
  const encoded = elements.map((element) =>
    typeof element === 'string' ? textEncoder.encode(element) : element,
  );
  const total = encoded.reduce((sum, element) => sum + 4 + element.byteLength, 0);
  const packed = new Uint8Array(total);
  const view = new DataView(packed.buffer);
  let offset = 0;
  for (const element of encoded) {
    view.setUint32(offset, element.byteLength, true);
    packed.set(element, offset + 4);
    offset += 4 + element.byteLength;
  }
  return packed;
}

function unpackBytes(packed: Uint8Array): Uint8Array[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const elements: Uint8Array[] = [];
  let offset = 0;
  while (offset < packed.byteLength) {
    const length = offset + 4 <= packed.byteLength ? view.getUint32(offset, true) : Infinity;
    if (offset + 4 + length > packed.byteLength) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `a BYTES tensor ends in the middle of element ${elements.length}: each is a 32-bit length and its bytes`,
      );
    }
    elements.push(packed.subarray(offset + 4, offset + 4 + length));
    offset += 4 + length;
  }
  return elements;
}
