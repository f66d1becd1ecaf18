import type { DataTypeName } from '@axle/core';

import { FileError } from './failure.js';
import { bfloat16, decodeSmallFloat, encodeSmallFloat, float16 } from './small-float.js';

/** One element as JSON has it. Numbers that JSON lacks are strings: 'NaN', 'Infinity', big integers. */
export type JsonElement = number | string | boolean;

/** Each numeric type as its raw little-endian bytes and as JSON. */
export interface ElementCodec {
  readonly bytes: number;
  write(view: DataView, offset: number, value: JsonElement): void;
  read(view: DataView, offset: number): JsonElement;
}

type NumberType = Exclude<DataTypeName, 'BYTES'>;

export const elementCodecs: Readonly<Record<NumberType, ElementCodec>> = {
  BOOL: {
    bytes: 1,
    write: (view, offset, value) => view.setUint8(offset, toBoolean(value)),
    read: (view, offset) => view.getUint8(offset) !== 0,
  },
  UINT8: integer('UINT8', 1, 'setUint8', 'getUint8'),
  UINT16: integer('UINT16', 2, 'setUint16', 'getUint16'),
  UINT32: integer('UINT32', 4, 'setUint32', 'getUint32'),
  UINT64: bigInteger('UINT64', 'setBigUint64', 'getBigUint64'),
  INT8: integer('INT8', 1, 'setInt8', 'getInt8'),
  INT16: integer('INT16', 2, 'setInt16', 'getInt16'),
  INT32: integer('INT32', 4, 'setInt32', 'getInt32'),
  INT64: bigInteger('INT64', 'setBigInt64', 'getBigInt64'),
  FP16: smallFloat('FP16', float16),
  BF16: smallFloat('BF16', bfloat16),
  FP32: {
    bytes: 4,
    write: (view, offset, value) =>
      view.setFloat32(offset, toFloat('FP32', value, Math.fround), true),
    read: (view, offset) => floatToJson(view.getFloat32(offset, true), 9, Math.fround),
  },
  FP64: {
    bytes: 8,
    write: (view, offset, value) => view.setFloat64(offset, toFloat('FP64', value, Number), true),
    read: (view, offset) => floatToJson(view.getFloat64(offset, true), 17, (value) => value),
  },
};

function integer(
  dtype: NumberType,
  bytes: 1 | 2 | 4,
  set: 'setUint8' | 'setUint16' | 'setUint32' | 'setInt8' | 'setInt16' | 'setInt32',
  get: 'getUint8' | 'getUint16' | 'getUint32' | 'getInt8' | 'getInt16' | 'getInt32',
): ElementCodec {
  const [min, max] = rangeOf(dtype, bytes);
  return {
    bytes,
    write: (view, offset, value) => {
      if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
        throw unfit(value, `${dtype} takes whole numbers from ${min} to ${max}`);
      }
      view[set](offset, value, true);
    },
    read: (view, offset) => view[get](offset, true),
  };
}

function bigInteger(
  dtype: 'UINT64' | 'INT64',
  set: 'setBigUint64' | 'setBigInt64',
  get: 'getBigUint64' | 'getBigInt64',
): ElementCodec {
  const wrap = (value: bigint) =>
    dtype === 'INT64' ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value);
  return {
    bytes: 8,
    write: (view, offset, value) => {
      const exact = toBigInt(value);
      if (exact === undefined || wrap(exact) !== exact) {
        throw unfit(
          value,
          `${dtype} takes whole numbers of 64 bits; write those past 2^53 as strings`,
        );
      }
      view[set](offset, exact, true);
    },
    read: (view, offset) => {
      const value = view[get](offset, true);
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : String(value);
    },
  };
}

function smallFloat(dtype: NumberType, format: typeof float16): ElementCodec {
  const round = (value: number) => decodeSmallFloat(format, encodeSmallFloat(format, value));
  return {
    bytes: 2,
    write: (view, offset, value) =>
      view.setUint16(offset, encodeSmallFloat(format, toFloat(dtype, value, round)), true),
    read: (view, offset) =>
      floatToJson(decodeSmallFloat(format, view.getUint16(offset, true)), format.digits, round),
  };
}

function rangeOf(dtype: NumberType, bytes: number): [min: number, max: number] {
  const values = 2 ** (8 * bytes);
  return dtype.startsWith('U') ? [0, values - 1] : [-values / 2, values / 2 - 1];
}

function toBoolean(value: JsonElement): 0 | 1 {
  if (value === true || value === 1) return 1;
  if (value === false || value === 0) return 0;
  throw unfit(value, 'BOOL takes true and false');
}

/** @param round to what the type holds. A number past it would become infinite: JSON has to say that in words. */
function toFloat(dtype: NumberType, value: JsonElement, round: (value: number) => number): number {
  if (typeof value === 'number') {
    if (Number.isFinite(round(value))) return value;
    throw new FileError(
      'INVALID_ARGUMENT',
      `${value} does not fit: ${dtype} has no number so large; write "Infinity" where it is meant`,
    );
  }
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
  throw unfit(value, `${dtype} takes numbers, "NaN", "Infinity" and "-Infinity"`);
}

function toBigInt(value: JsonElement): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  return typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined;
}

/** The fewest digits that round to the same value: 0.1 for FP32, not 0.10000000149011612. */
function floatToJson(
  value: number,
  digitsMax: number,
  round: (value: number) => number,
): JsonElement {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) || digitsMax === 17) return value;
  for (let digits = 1; digits < digitsMax; digits += 1) {
    const shorter = Number(value.toPrecision(digits));
    if (round(shorter) === value) return shorter;
  }
  return Number(value.toPrecision(digitsMax));
}

function unfit(value: JsonElement, rule: string): FileError {
  return new FileError('INVALID_ARGUMENT', `${JSON.stringify(value)} does not fit: ${rule}`);
}
