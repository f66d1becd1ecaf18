import type { DataTypeName } from '@axle/core';

import { FileError } from './failure.js';
import { formatNpyHeader, parseNpyHeader } from './npy-header.js';

/**
 * An array as numpy's `.npy` files hold it (numpy/lib/format.py), row-major and little-endian. Fixed-length strings
 * and bytes are `elements`, each without the zeros that pad it, text as UTF-8; everything else is raw `bytes`.
 */
export type NpyArray =
  | { readonly dtype: NpyNumberType; readonly shape: readonly number[]; readonly bytes: Uint8Array }
  | {
      readonly dtype: 'BYTES';
      readonly shape: readonly number[];
      readonly elements: readonly Uint8Array[];
    };

/** numpy has no bfloat16. */
export type NpyNumberType = Exclude<DataTypeName, 'BYTES' | 'BF16'>;

const magic = Buffer.from('\x93NUMPY', 'latin1');
/** Far above what a header of 64 dimensions takes. */
const headerBytesMax = 64 * 1024;
/** numpy pads the header so that the elements are aligned for any vector unit. */
const alignment = 64;

const numberTypes: Readonly<Record<string, NpyNumberType>> = {
  b1: 'BOOL',
  u1: 'UINT8',
  u2: 'UINT16',
  u4: 'UINT32',
  u8: 'UINT64',
  i1: 'INT8',
  i2: 'INT16',
  i4: 'INT32',
  i8: 'INT64',
  f2: 'FP16',
  f4: 'FP32',
  f8: 'FP64',
};

/**
 * Reads a whole `.npy` file, versions 1 to 3. Column-major arrays are transposed. Nothing is allocated before the
 * lengths that the header claims have been held against the file's.
 *
 * @throws FileError INVALID_ARGUMENT for damaged files and for arrays that no tensor can be.
 */
export function readNpy(file: Uint8Array): NpyArray {
  const buffer = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const { text, dataOffset } = splitHeader(buffer);
  const header = parseNpyHeader(text);
  const { kind, itemBytes } = readDescr(header.descr);
  const count = header.shape.reduce((product, size) => product * size, 1);
  const body = buffer.subarray(dataOffset);
  if (count * itemBytes !== body.byteLength) {
    throw damaged(
      `shape (${header.shape.join(', ')}) of '${header.descr}' takes ${count * itemBytes} bytes, ` +
        `the file has ${body.byteLength}`,
    );
  }
  const bytes = header.fortranOrder ? toRowMajor(body, header.shape, itemBytes) : body;
  if (kind === 'S' || kind === 'U') {
    const elements = splitElements(bytes, itemBytes, kind === 'S' ? trimBytes : utf32ToUtf8);
    return { dtype: 'BYTES', shape: header.shape, elements };
  }
  const dtype = numberTypes[`${kind}${itemBytes}`] as NpyNumberType;
  if (dtype === 'BOOL' && bytes.some((byte) => byte > 1)) {
    throw damaged('a boolean is neither 0 nor 1');
  }
  return { dtype, shape: header.shape, bytes };
}

/** Version 1 of the format, byte for byte as numpy writes it. */
export function writeNpy(array: {
  readonly dtype: NpyNumberType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}): Buffer {
  const [type] = Object.entries(numberTypes).find(([, dtype]) => dtype === array.dtype) ?? [];
  if (type === undefined) throw new FileError('INVALID_ARGUMENT', `.npy has no ${array.dtype}`);
  const descr = `${type.endsWith('1') ? '|' : '<'}${type}`;
  const text = formatNpyHeader({ descr, fortranOrder: false, shape: array.shape });
  const prefixBytes = magic.length + 4;
  const headerBytes = alignUp(prefixBytes + text.length + 1) - prefixBytes;
  const prefix = Buffer.alloc(prefixBytes);
  magic.copy(prefix);
  prefix.writeUInt8(1, magic.length);
  prefix.writeUInt16LE(headerBytes, magic.length + 2);
  return Buffer.concat([prefix, Buffer.from(`${text.padEnd(headerBytes - 1)}\n`), array.bytes]);
}

function alignUp(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

function splitHeader(file: Buffer): { text: string; dataOffset: number } {
  if (!file.subarray(0, magic.length).equals(magic)) {
    throw new FileError(
      'INVALID_ARGUMENT',
      'it is no .npy file: it does not start with \\x93NUMPY',
    );
  }
  const major = file[magic.length];
  const lengthOffset = magic.length + 2;
  if (major === undefined || major < 1 || major > 3) {
    throw new FileError(
      'INVALID_ARGUMENT',
      `version ${major ?? '?'} of .npy is not known; numpy.save writes versions 1 to 3`,
    );
  }
  const lengthBytes = major === 1 ? 2 : 4;
  const start = lengthOffset + lengthBytes;
  if (file.byteLength < start) throw damaged('it ends in the header');
  const length =
    lengthBytes === 2 ? file.readUInt16LE(lengthOffset) : file.readUInt32LE(lengthOffset);
  if (length > headerBytesMax) throw damaged(`a header of ${length} bytes`);
  if (file.byteLength < start + length) throw damaged('it ends in the header');
  const text = file.toString(major === 3 ? 'utf8' : 'latin1', start, start + length);
  return { text, dataOffset: start + length };
}

function readDescr(descr: string): { kind: string; itemBytes: number } {
  const match = /^([<>|=]?)([a-zA-Z])(\d{0,9})$/.exec(descr);
  const [, order = '', kind = '', digits = ''] = match ?? [];
  if (kind === 'O') {
    throw new FileError(
      'INVALID_ARGUMENT',
      'it holds pickled Python objects, which are never loaded; save an array of numbers or strings',
    );
  }
  const itemBytes = Number(digits) * (kind === 'U' ? 4 : 1);
  const known = kind === 'S' || kind === 'U' || `${kind}${digits}` in numberTypes;
  if (match === null || !known) {
    throw new FileError(
      'INVALID_ARGUMENT',
      `type '${descr}' fits no tensor; convert it to bool, int8..64, uint8..64, float16..64 or strings`,
    );
  }
  if (order === '>') {
    throw new FileError(
      'INVALID_ARGUMENT',
      `type '${descr}' is big-endian; save array.astype('<${kind}${digits}')`,
    );
  }
  // Otherwise a few bytes could claim any number of empty elements.
  if (itemBytes === 0) throw damaged(`type '${descr}' has no bytes`);
  return { kind, itemBytes };
}

/** From column-major to row-major: walks the target in order and keeps the source's offset as an odometer. */
function toRowMajor(source: Buffer, shape: readonly number[], itemBytes: number): Buffer {
  const target = Buffer.allocUnsafe(source.byteLength);
  const strides: number[] = [];
  let stride = itemBytes;
  for (const size of shape) {
    strides.push(stride);
    stride *= size;
  }
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < target.byteLength; to += itemBytes) {
    source.copy(target, to, from, from + itemBytes);
    for (let dimension = shape.length - 1; dimension >= 0; dimension -= 1) {
      const next = (index[dimension] as number) + 1;
      from += strides[dimension] as number;
      index[dimension] = next;
      if (next < (shape[dimension] as number)) break;
      from -= next * (strides[dimension] as number);
      index[dimension] = 0;
    }
  }
  return target;
}

function splitElements(
  bytes: Buffer,
  itemBytes: number,
  convert: (item: Buffer) => Uint8Array,
): Uint8Array[] {
  const elements: Uint8Array[] = [];
  for (let offset = 0; offset < bytes.byteLength; offset += itemBytes) {
    elements.push(convert(bytes.subarray(offset, offset + itemBytes)));
  }
  return elements;
}

function trimBytes(item: Buffer): Uint8Array {
  let end = item.byteLength;
  while (end > 0 && item[end - 1] === 0) end -= 1;
  return item.subarray(0, end);
}

function utf32ToUtf8(item: Buffer): Uint8Array {
  const codePoints: number[] = [];
  for (let offset = 0; offset < item.byteLength; offset += 4) {
    const codePoint = item.readUInt32LE(offset);
    if (codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff)) {
      throw damaged(`0x${codePoint.toString(16)} is no character`);
    }
    codePoints.push(codePoint);
  }
  while (codePoints.at(-1) === 0) codePoints.pop();
  return Buffer.from(codePoints.map((codePoint) => String.fromCodePoint(codePoint)).join(''));
}

function damaged(what: string): FileError {
  return new FileError('INVALID_ARGUMENT', `the .npy file is damaged: ${what}`);
}
