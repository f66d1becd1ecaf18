import { AxleError, DATA_TYPE_BYTES, type DataTypeName } from '@axle/core/internal';

import { typedElementsMax, typedPiecesMax } from '../door-limits.js';
import { dataTypeOf, rawBytesOf } from '../kserve/data-types.js';
import { countVarints, eachVarint } from './varints.js';

/** Fields of InferTensorContents. */
const field = {
  bool: 1,
  int: 2,
  int64: 3,
  uint: 4,
  uint64: 5,
  fp32: 6,
  fp64: 7,
  bytes: 8,
} as const;

const fieldOf: Readonly<Partial<Record<DataTypeName, number>>> = {
  BOOL: field.bool,
  INT8: field.int,
  INT16: field.int,
  INT32: field.int,
  INT64: field.int64,
  UINT8: field.uint,
  UINT16: field.uint,
  UINT32: field.uint,
  UINT64: field.uint64,
  FP32: field.fp32,
  FP64: field.fp64,
  BYTES: field.bytes,
};

/** Values of the types that take less than the 32 bits of their field. */
const ranges: Readonly<Partial<Record<DataTypeName, readonly [number, number]>>> = {
  INT8: [-0x80, 0x7f],
  INT16: [-0x8000, 0x7fff],
  UINT8: [0, 0xff],
  UINT16: [0, 0xffff],
};

/** What all inputs of a request have together. */
export class TypedTotal {
  private pieces = 0;
  private elements = 0;

  /** @throws AxleError RESOURCE_EXHAUSTED */
  addPiece(): void {
    this.pieces += 1;
    if (this.pieces <= typedPiecesMax) return;
    throw tooMany(`${typedPiecesMax} elements that come one by one; pack them, or send them raw`);
  }

  /** @throws AxleError RESOURCE_EXHAUSTED */
  addElements(count: number): void {
    this.elements += count;
    if (this.elements <= typedElementsMax) return;
    throw tooMany(`${typedElementsMax} elements that are not FP32 or FP64; send them raw`);
  }
}

function tooMany(what: string): AxleError {
  const message = `the contents of inputs have more than ${what}`;
  return new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
}

/**
 * The InferTensorContents of one input as they came: by field, the bytes of its packed values, or for BYTES its elements.
 * What they are is known when the data type is.
 */
export class TypedContents {
  private readonly pieces = new Map<number, Uint8Array[]>();

  constructor(private readonly total: TypedTotal) {}

  /** @throws AxleError RESOURCE_EXHAUSTED for more pieces than a request may have. */
  add(fieldNumber: number, piece: Uint8Array): void {
    this.total.addPiece();
    const pieces = this.pieces.get(fieldNumber);
    if (pieces === undefined) this.pieces.set(fieldNumber, [piece]);
    else pieces.push(piece);
  }

  /**
   * In raw form.
   *
   * @throws AxleError INVALID_ARGUMENT where the contents are of another type, or of one that only comes raw;
   * RESOURCE_EXHAUSTED for more elements than a request may have.
   */
  raw(input: string, datatype: string): Uint8Array {
    const dtype = dataTypeOf(datatype, input);
    const own = fieldOf[dtype];
    if (own === undefined) {
      throw wrong(`input '${input}' is ${dtype}, which has no typed contents; send it raw`);
    }
    for (const [number, pieces] of this.pieces) {
      if (number === own || pieces.every(({ byteLength }) => byteLength === 0)) continue;
      throw wrong(
        `input '${input}' is ${dtype}, and its contents are ${nameOf(number)}; give ${nameOf(own)}`,
      );
    }
    const pieces = this.pieces.get(own) ?? [];
    if (dtype === 'BYTES') return rawBytesOf(pieces);
    if (dtype === 'FP32' || dtype === 'FP64') return joined(input, pieces, DATA_TYPE_BYTES[dtype]);
    const count = countVarints(pieces, typedElementsMax);
    this.total.addElements(count);
    return numbers(input, dtype, pieces, count);
  }
}

/** They are in raw form already. */
function joined(input: string, pieces: readonly Uint8Array[], size: number): Uint8Array {
  const [first] = pieces;
  const bytes = pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces);
  if (bytes.byteLength % size === 0) return bytes;
  throw wrong(`the contents of input '${input}' end in the middle of an element`);
}

function numbers(
  input: string,
  dtype: DataTypeName,
  pieces: readonly Uint8Array[],
  count: number,
): Uint8Array {
  const size = DATA_TYPE_BYTES[dtype];
  const raw = new Uint8Array(count * size);
  const view = new DataView(raw.buffer);
  const range = ranges[dtype];
  eachVarint(pieces, (low, high, index) => {
    const at = index * size;
    if (range !== undefined && (low < range[0] || low > range[1])) {
      throw wrong(
        `input '${input}' is ${dtype}, and its element ${index} is ${low}, which does not fit`,
      );
    }
    if (dtype === 'BOOL') raw[at] = low === 0 && high === 0 ? 0 : 1;
    else if (size === 1) raw[at] = low;
    else if (size === 2) view.setUint16(at, low & 0xffff, true);
    else view.setInt32(at, low, true);
    if (size === 8) view.setInt32(at + 4, high, true);
  });
  return raw;
}

function nameOf(number: number): string {
  const found = Object.entries(field).find(([, each]) => each === number);
  return found === undefined ? `field ${number}` : `${found[0]}_contents`;
}

function wrong(message: string): AxleError {
  return new AxleError('INVALID_ARGUMENT', message);
}
