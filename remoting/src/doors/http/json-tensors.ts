import { AxleError, DATA_TYPE_BYTES, type DataTypeName, type Tensor } from '@axle/core/internal';

import { bytesElementsMax, dimensionsMax } from '../door-limits.js';
import { dataTypeOf, rawBytesOf } from '../kserve/data-types.js';
import { isText, isWellFormed, numberOf, shown } from './json.js';

/** Puts one element where it belongs; false: it is none of the type. */
type Put = (view: DataView, at: number, value: unknown) => boolean;

const puts: Readonly<Partial<Record<DataTypeName, Put>>> = {
  BOOL: (view, at, value) => {
    if (value !== true && value !== false && value !== 0 && value !== 1) return false;
    view.setUint8(at, Number(value));
    return true;
  },
  UINT8: whole(0, 0xff, (view, at, value) => view.setUint8(at, value)),
  UINT16: whole(0, 0xffff, (view, at, value) => view.setUint16(at, value, true)),
  UINT32: whole(0, 0xffff_ffff, (view, at, value) => view.setUint32(at, value, true)),
  INT8: whole(-0x80, 0x7f, (view, at, value) => view.setInt8(at, value)),
  INT16: whole(-0x8000, 0x7fff, (view, at, value) => view.setInt16(at, value, true)),
  INT32: whole(-0x8000_0000, 0x7fff_ffff, (view, at, value) => view.setInt32(at, value, true)),
  INT64: long(-(2n ** 63n), 2n ** 63n - 1n, (view, at, value) => view.setBigInt64(at, value, true)),
  UINT64: long(0n, 2n ** 64n - 1n, (view, at, value) => view.setBigUint64(at, value, true)),
  FP32: real(Math.fround, (view, at, value) => view.setFloat32(at, value, true)),
  FP64: real(Number, (view, at, value) => view.setFloat64(at, value, true)),
};

/**
 * The raw form of a tensor that JSON holds, flat or nested in rows.
 *
 * @throws AxleError INVALID_ARGUMENT for elements that are not of the type, or of a type that JSON has no numbers for.
 */
export function rawOfJson(input: string, datatype: string, data: unknown): Uint8Array {
  const dtype = dataTypeOf(datatype, input);
  if (!Array.isArray(data)) throw wrong(`the data of input '${input}' is no array`);
  if (dtype === 'BYTES') return rawText(input, data);
  const put = puts[dtype];
  if (put === undefined) {
    throw wrong(
      `input '${input}' is ${dtype}, which JSON has no numbers for; send it as binary data`,
    );
  }
  const size = DATA_TYPE_BYTES[dtype];
  const raw = new Uint8Array(countLeaves(data) * size);
  const view = new DataView(raw.buffer);
  let at = 0;
  eachLeaf(data, (value) => {
    if (!put(view, at, value)) {
      throw wrong(
        `input '${input}' is ${dtype}, and its element ${at / size} is ${shown(value)}, which does not fit`,
      );
    }
    at += size;
  });
  return raw;
}

function rawText(input: string, data: readonly unknown[]): Uint8Array {
  if (countLeaves(data) > bytesElementsMax) {
    const message = `input '${input}' has more than ${bytesElementsMax} elements`;
    throw new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
  }
  const elements: Buffer[] = [];
  eachLeaf(data, (value) => {
    if (!isText(value)) {
      throw wrong(
        `input '${input}' is BYTES, and its element ${elements.length} is ${shown(value)}, and no text`,
      );
    }
    if (!isWellFormed(value)) {
      throw wrong(
        `input '${input}' is BYTES, and its element ${elements.length} has half a surrogate pair; send bytes that are no text as binary data`,
      );
    }
    elements.push(Buffer.from(value));
  });
  return rawBytesOf(elements);
}

/** @throws AxleError INVALID_ARGUMENT for rows within more rows than a tensor has dimensions. */
function countLeaves(data: readonly unknown[], depth = 1): number {
  if (depth > dimensionsMax) throw wrong(`the data is nested more than ${dimensionsMax} deep`);
  let count = 0;
  for (const each of data) count += Array.isArray(each) ? countLeaves(each, depth + 1) : 1;
  return count;
}

function eachLeaf(data: readonly unknown[], take: (value: unknown) => void): void {
  for (const each of data) {
    if (Array.isArray(each)) eachLeaf(each, take);
    else take(each);
  }
}

/**
 * The data of an output as JSON.
 *
 * @throws AxleError FAILED_PRECONDITION for what JSON cannot say: it is there as binary data.
 */
export function jsonOf(name: string, tensor: Tensor): string {
  const { dtype } = tensor;
  const cannot = (what: string) =>
    new AxleError(
      'FAILED_PRECONDITION',
      `output '${name}' ${what}, which JSON cannot say; ask for it with the parameter binary_data: true`,
    );
  if (dtype === 'FP16' || dtype === 'BF16') throw cannot(`is ${dtype}`);
  if (dtype === 'BYTES') return JSON.stringify(tensor.elements.map((each) => textOf(each, cannot)));
  const data = tensor.data as ArrayLike<number | bigint>;
  if (dtype === 'BOOL') return `[${Array.from(data, (each) => each === 1).join(',')}]`;
  const isReal = dtype === 'FP32' || dtype === 'FP64';
  if (isReal && !(data as Float64Array).every(Number.isFinite)) {
    throw cannot('holds what is no finite number');
  }
  return `[${(data as Float64Array).join(',')}]`;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array, cannot: (what: string) => AxleError): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw cannot('holds bytes that are no text');
  }
}

function whole(
  min: number,
  max: number,
  set: (view: DataView, at: number, value: number) => void,
): Put {
  return (view, at, value) => {
    if (!Number.isInteger(value) || (value as number) < min || (value as number) > max)
      return false;
    set(view, at, value as number);
    return true;
  };
}

function long(
  min: bigint,
  max: bigint,
  set: (view: DataView, at: number, value: bigint) => void,
): Put {
  return (view, at, value) => {
    const number = numberOf(value);
    if (typeof number !== 'bigint' && !Number.isSafeInteger(number)) return false;
    const exact = BigInt(number as bigint | number);
    if (exact < min || exact > max) return false;
    set(view, at, exact);
    return true;
  };
}

function real(
  round: (value: number) => number,
  set: (view: DataView, at: number, value: number) => void,
): Put {
  return (view, at, value) => {
    const number = Number(numberOf(value) ?? NaN);
    // Of 1e400 JSON makes Infinity, and FP32 of 1e39.
    if (!Number.isFinite(round(number))) return false;
    set(view, at, number);
    return true;
  };
}

function wrong(message: string): AxleError {
  return new AxleError('INVALID_ARGUMENT', message);
}
