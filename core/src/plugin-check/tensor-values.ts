import { dataTypeNameOf } from '../data-types.js';
import { DATA_TYPE_BYTES, type DataTypeName } from '../generated/constants.js';

/** How one element of a type lies in memory, little-endian. */
interface ElementCodec {
  readonly read: (view: DataView, at: number) => number;
  readonly write: (view: DataView, at: number, value: number) => void;
}

const codecs: Readonly<Partial<Record<DataTypeName, ElementCodec>>> = {
  BOOL: {
    read: (view, at) => view.getUint8(at),
    write: (view, at, value) => view.setUint8(at, value === 0 ? 0 : 1),
  },
  UINT8: {
    read: (view, at) => view.getUint8(at),
    write: (view, at, value) => view.setUint8(at, value),
  },
  INT8: {
    read: (view, at) => view.getInt8(at),
    write: (view, at, value) => view.setInt8(at, value),
  },
  UINT16: {
    read: (view, at) => view.getUint16(at, true),
    write: (view, at, value) => view.setUint16(at, value, true),
  },
  INT16: {
    read: (view, at) => view.getInt16(at, true),
    write: (view, at, value) => view.setInt16(at, value, true),
  },
  UINT32: {
    read: (view, at) => view.getUint32(at, true),
    write: (view, at, value) => view.setUint32(at, value, true),
  },
  INT32: {
    read: (view, at) => view.getInt32(at, true),
    write: (view, at, value) => view.setInt32(at, value, true),
  },
  UINT64: {
    read: (view, at) => Number(view.getBigUint64(at, true)),
    write: (view, at, value) => view.setBigUint64(at, BigInt(value), true),
  },
  INT64: {
    read: (view, at) => Number(view.getBigInt64(at, true)),
    write: (view, at, value) => view.setBigInt64(at, BigInt(value), true),
  },
  FP16: {
    read: (view, at) => fromHalf(view.getUint16(at, true)),
    write: (view, at, value) => view.setUint16(at, toHalf(value), true),
  },
  BF16: {
    read: (view, at) => fromFloatBits(view.getUint16(at, true) << 16),
    write: (view, at, value) => view.setUint16(at, floatBits(value) >>> 16, true),
  },
  FP32: {
    read: (view, at) => view.getFloat32(at, true),
    write: (view, at, value) => view.setFloat32(at, value, true),
  },
  FP64: {
    read: (view, at) => view.getFloat64(at, true),
    write: (view, at, value) => view.setFloat64(at, value, true),
  },
};

/**
 * A tensor's bytes.
 *
 * @param dtype DataType; of BYTES, whose elements are no numbers, all elements are empty.
 * @param values that the type has; FP16 rounds to normal numbers, BF16 towards zero.
 */
export function encodeValues(dtype: number, values: readonly number[]): Uint8Array {
  const codec = codecOf(dtype);
  if (codec === undefined) return new Uint8Array(values.length * lengthPrefixBytes);
  const bytes = new Uint8Array(values.length * codec.bytes);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => codec.write(view, i * codec.bytes, value));
  return bytes;
}

/** The numbers of a tensor; none for BYTES. A last element that is cut off is left out. */
export function decodeValues(dtype: number, bytes: Uint8Array): number[] {
  const codec = codecOf(dtype);
  if (codec === undefined) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.floor(bytes.length / codec.bytes) }, (_, i) =>
    codec.read(view, i * codec.bytes),
  );
}

/** Of an element of a BYTES tensor. */
const lengthPrefixBytes = 4;

function codecOf(dtype: number): (ElementCodec & { readonly bytes: number }) | undefined {
  const name = dataTypeNameOf(dtype);
  const codec = name === undefined ? undefined : codecs[name];
  return name === undefined || codec === undefined
    ? undefined
    : { ...codec, bytes: DATA_TYPE_BYTES[name] };
}

const halfExponentBias = 15;
const halfFractionSteps = 1024;

function toHalf(value: number): number {
  const size = Math.abs(value);
  const sign = value < 0 ? 0x8000 : 0;
  if (size === 0) return sign;
  const exponent = Math.floor(Math.log2(size));
  const fraction = Math.round((size / 2 ** exponent - 1) * halfFractionSteps);
  return sign + (exponent + halfExponentBias) * halfFractionSteps + fraction;
}

function fromHalf(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = (bits & 0x3ff) / halfFractionSteps;
  if (exponent === 0) return sign * fraction * 2 ** (1 - halfExponentBias);
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction) * 2 ** (exponent - halfExponentBias);
}

const bitsOfFloat = new DataView(new ArrayBuffer(4));

function floatBits(value: number): number {
  bitsOfFloat.setFloat32(0, value);
  return bitsOfFloat.getUint32(0);
}

function fromFloatBits(bits: number): number {
  bitsOfFloat.setUint32(0, bits);
  return bitsOfFloat.getFloat32(0);
}
