import { randomFillSync } from 'node:crypto';

import { DATA_TYPE_BYTES, type DataTypeName } from '../generated/constants.js';
import { elementCount, Tensor } from '../tensor.js';

/** Bytes of an element of a BYTES tensor that is empty: its length. */
const emptyElementBytes = 4;

/** What {@link zeros} and {@link randomValues} would take. */
export function bytesOfShape(dtype: DataTypeName, shape: readonly number[]): number {
  return elementCount(shape) * (dtype === 'BYTES' ? emptyElementBytes : DATA_TYPE_BYTES[dtype]);
}

/** Zeros, or empty strings. */
export function zeros(dtype: DataTypeName, shape: readonly number[]): Tensor {
  return Tensor.fromBytes(dtype, new Uint8Array(bytesOfShape(dtype, shape)), shape);
}

/**
 * Random numbers: whole ones over all of their type's range, the others from 0 to 1, because random bits are no
 * sensible floating-point numbers. Strings are empty: of them there is nothing random that any model would take.
 */
export function randomValues(dtype: DataTypeName, shape: readonly number[]): Tensor {
  const bytes = new Uint8Array(bytesOfShape(dtype, shape));
  fill(dtype, bytes);
  return Tensor.fromBytes(dtype, bytes, shape);
}

function fill(dtype: DataTypeName, bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (dtype === 'FP32') fillWith(new Float32Array(buffer), Math.random);
  else if (dtype === 'FP64') fillWith(new Float64Array(buffer), Math.random);
  else if (dtype === 'FP16') fillWith(new Uint16Array(buffer), randomHalf);
  else if (dtype === 'BF16') fillWith(new Uint16Array(buffer), () => randomFloatBits() >>> 16);
  else if (dtype === 'BOOL') fillWith(bytes, () => (Math.random() < 0.5 ? 0 : 1));
  else if (dtype !== 'BYTES') randomFillSync(bytes);
}

function fillWith(into: { readonly length: number; [at: number]: number }, next: () => number) {
  for (let i = 0; i < into.length; i++) into[i] = next();
}

const float = new Float32Array(1);
const floatBits = new Uint32Array(float.buffer);

function randomFloatBits(): number {
  float[0] = Math.random();
  return floatBits[0] as number;
}

/** IEEE 754: FP32 has 13 bits of fraction more than FP16, and an exponent that is larger by 127 - 15. */
const fractionBitsMore = 13;
const biasMore = (127 - 15) << 10;
/** As FP32 bits, 2^-14: what is smaller has another form in FP16. */
const leastHalf = (127 - 14) << 23;

function randomHalf(): number {
  const bits = randomFloatBits();
  return bits < leastHalf ? 0 : (bits >>> fractionBitsMore) - biasMore;
}
