import { DATA_TYPE_BYTES, DataType, type DataTypeName } from '../../generated/constants.js';
import { dataTypeNameOf } from '../../data-types.js';
import type { TaskInput } from '../plugin-under-test.js';

type Patterns = readonly (readonly number[])[];

/** The bits of one element at the edges of a whole number: all of one byte, but for the top one, which has the sign. */
function edgesOf(bytes: number): Patterns {
  const filled = (rest: number, top: number) => [...new Array<number>(bytes - 1).fill(rest), top];
  return [filled(0xff, 0xff), filled(0, 0), filled(0, 0x80), filled(0xff, 0x7f)];
}

/** Little-endian: NaN, infinity, minus infinity, the largest and the least number, and minus one. */
const floats: Readonly<Partial<Record<DataTypeName, Patterns>>> = {
  FP16: [
    [0x00, 0x7e],
    [0x00, 0x7c],
    [0x00, 0xfc],
    [0xff, 0x7b],
    [0x01, 0x00],
    [0x00, 0xbc],
  ],
  BF16: [
    [0xc0, 0x7f],
    [0x80, 0x7f],
    [0x80, 0xff],
    [0x7f, 0x7f],
    [0x01, 0x00],
    [0x80, 0xbf],
  ],
};

const floatValues = [NaN, Infinity, -Infinity, Number.MAX_VALUE, Number.MIN_VALUE, -1];
const float32Max = 3.4028234663852886e38;
const float32Min = 1e-45;

function patternsOf(name: DataTypeName): Patterns {
  if (name === 'FP32') {
    const values = floatValues.map((value) =>
      value === Number.MAX_VALUE ? float32Max : value === Number.MIN_VALUE ? float32Min : value,
    );
    return values.map((value) => [...new Uint8Array(Float32Array.of(value).buffer)]);
  }
  if (name === 'FP64') {
    return floatValues.map((value) => [...new Uint8Array(Float64Array.of(value).buffer)]);
  }
  if (name === 'BOOL') return [[1], [0]];
  return floats[name] ?? edgesOf(DATA_TYPE_BYTES[name]);
}

/** Elements of BYTES: an empty one, one that is no text, and one that is long. Each begins with its length. */
const texts: readonly Uint8Array[] = [
  new Uint8Array(0),
  Uint8Array.of(0xff, 0xfe, 0x00, 0x80),
  new Uint8Array(300).fill(0x61),
];

function lengthPrefixed(element: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(element.length);
  return Buffer.concat([length, element]);
}

/** Kinds of odd value that are tried, one after the other; each type takes those that it has in turn. */
export const oddRounds = [0, 1, 2, 3, 4, 5] as const;

/** A tensor of the same type and shape all of whose elements are of one kind of odd value. */
export function oddInput(input: TaskInput, round: (typeof oddRounds)[number]): TaskInput {
  const count = input.dims.reduce((product, size) => product * size, 1);
  if (input.dtype === DataType.BYTES) {
    const element = lengthPrefixed(texts[round % texts.length] as Uint8Array);
    return { ...input, data: Buffer.concat(new Array<Buffer>(count).fill(element)) };
  }
  const patterns = patternsOf(dataTypeNameOf(input.dtype) as DataTypeName);
  const pattern = Uint8Array.from(patterns[round % patterns.length] ?? []);
  const data = new Uint8Array(count * pattern.length);
  for (let at = 0; at < data.length; at += pattern.length) data.set(pattern, at);
  return { ...input, data };
}
