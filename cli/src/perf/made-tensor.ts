import { DATA_TYPE_BYTES, Tensor, type DataTypeName } from '@axle/core';

import type { SeededRandom } from '../load/index.js';
import { bfloat16, encodeSmallFloat, float16 } from '../small-float.js';

export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function zeros(dtype: DataTypeName, shape: readonly number[]): Tensor {
  if (dtype === 'BYTES') return Tensor.from(dtype, Array<string>(countOf(shape)).fill(''), shape);
  return Tensor.fromBytes(dtype, new Uint8Array(countOf(shape) * DATA_TYPE_BYTES[dtype]), shape);
}

/** Small enough to be an index into most tables, which whole numbers often are. */
const wholeNumberMax = 127;
const letters = 'abcdefghijklmnopqrstuvwxyz';

/** Fractions from 0 to 1, bytes from 0 to 255, other whole numbers from 0 to 127, letters. */
export function randomTensor(
  dtype: DataTypeName,
  shape: readonly number[],
  random: SeededRandom,
  stringLength: number,
): Tensor {
  const length = countOf(shape);
  const whole = () => random.below(wholeNumberMax + 1);
  switch (dtype) {
    case 'BYTES': {
      const text = () =>
        Array.from({ length: stringLength }, () => letters[random.below(26)]).join('');
      return Tensor.from(dtype, Array.from({ length }, text), shape);
    }
    case 'BOOL':
      return Tensor.from(
        dtype,
        Uint8Array.from({ length }, () => random.below(2)),
        shape,
      );
    case 'UINT8':
      return Tensor.from(
        dtype,
        Uint8Array.from({ length }, () => random.below(256)),
        shape,
      );
    case 'INT8':
      return Tensor.from(dtype, Int8Array.from({ length }, whole), shape);
    case 'UINT16':
      return Tensor.from(dtype, Uint16Array.from({ length }, whole), shape);
    case 'INT16':
      return Tensor.from(dtype, Int16Array.from({ length }, whole), shape);
    case 'UINT32':
      return Tensor.from(dtype, Uint32Array.from({ length }, whole), shape);
    case 'INT32':
      return Tensor.from(dtype, Int32Array.from({ length }, whole), shape);
    case 'UINT64':
      return Tensor.from(
        dtype,
        BigUint64Array.from({ length }, () => BigInt(whole())),
        shape,
      );
    case 'INT64':
      return Tensor.from(
        dtype,
        BigInt64Array.from({ length }, () => BigInt(whole())),
        shape,
      );
    case 'FP16':
    case 'BF16': {
      const format = dtype === 'FP16' ? float16 : bfloat16;
      const half = () => encodeSmallFloat(format, random.next());
      return Tensor.from(dtype, Uint16Array.from({ length }, half), shape);
    }
    case 'FP32':
      return Tensor.from(
        dtype,
        Float32Array.from({ length }, () => random.next()),
        shape,
      );
    case 'FP64':
      return Tensor.from(
        dtype,
        Float64Array.from({ length }, () => random.next()),
        shape,
      );
  }
}
