import {
  adoptTensor,
  AxleError,
  DATA_TYPE_BYTES,
  Tensor,
  type DataTypeName,
} from '@axle/core/internal';

import { bytesElementsMax, dimensionsMax } from '../door-limits.js';

const lengthBytes = 4;

/** @throws AxleError INVALID_ARGUMENT for what is no data type. */
export function dataTypeOf(name: string, input: string): DataTypeName {
  if (Object.hasOwn(DATA_TYPE_BYTES, name)) return name as DataTypeName;
  const known = Object.keys(DATA_TYPE_BYTES).join(', ');
  throw new AxleError(
    'INVALID_ARGUMENT',
    `input '${input}' has the data type '${name}', which does not exist; there are: ${known}`,
  );
}

/**
 * The tensor that raw contents are.
 *
 * @throws AxleError INVALID_ARGUMENT when they have another length than its type and shape ask for, or are none of it;
 * RESOURCE_EXHAUSTED for more dimensions or elements than a request may have.
 */
export function tensorOf(
  input: string,
  datatype: string,
  shape: readonly number[],
  raw: Uint8Array,
): Tensor {
  const dtype = dataTypeOf(datatype, input);
  checkDimensions(input, shape);
  try {
    if (dtype !== 'BYTES') return Tensor.fromBytes(dtype, raw, shape);
    return bytesTensor(input, raw, shape);
  } catch (error) {
    if (!(error instanceof AxleError)) throw error;
    throw new AxleError(error.code, `input '${input}': ${error.message}`, {
      retryable: error.retryable,
      cause: error,
    });
  }
}

/** @throws AxleError RESOURCE_EXHAUSTED; INVALID_ARGUMENT for a size that no number here has exactly */
export function checkDimensions(input: string, shape: readonly number[]): void {
  const { length } = shape;
  if (shape.some((size) => Number.isInteger(size) && !Number.isSafeInteger(size))) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `the shape of input '${input}' has a size that is no count; they go up to ${Number.MAX_SAFE_INTEGER}`,
    );
  }
  if (length <= dimensionsMax) return;
  throw tooMany(`input '${input}' has ${length} dimensions; ${dimensionsMax} are the most`);
}

/** Counts the elements without making any of them: they may be many, and of nothing. */
function bytesTensor(input: string, raw: Uint8Array, shape: readonly number[]): Tensor {
  // Refuses what is no shape.
  const expected = countOf(shape);
  let count = 0;
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  for (let at = 0; at < raw.byteLength; count += 1) {
    const length = at + lengthBytes <= raw.byteLength ? view.getUint32(at, true) : Infinity;
    at += lengthBytes + length;
    if (at <= raw.byteLength) continue;
    throw new AxleError(
      'INVALID_ARGUMENT',
      `it ends in the middle of element ${count}: each is its length in ${lengthBytes} bytes, little-endian, and its bytes`,
    );
  }
  if (count > bytesElementsMax) {
    throw tooMany(`input '${input}' has ${count} elements; ${bytesElementsMax} are the most`);
  }
  if (count === expected) return adoptTensor('BYTES', [raw], shape);
  throw new AxleError(
    'INVALID_ARGUMENT',
    `a BYTES tensor of shape [${shape.join(', ')}] has ${expected} elements, got ${count}`,
  );
}

/** @throws AxleError INVALID_ARGUMENT for sizes that are no count. */
function countOf(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) {
    count *= size;
    if (Number.isSafeInteger(size) && size >= 0 && Number.isSafeInteger(count)) continue;
    throw new AxleError(
      'INVALID_ARGUMENT',
      `[${shape.join(', ')}] is no shape: sizes are whole numbers from 0 up, and their product a number that exists`,
    );
  }
  return count;
}

function tooMany(message: string): AxleError {
  return new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
}

/** The raw form of elements of BYTES. */
export function rawBytesOf(elements: readonly Uint8Array[]): Uint8Array {
  const bytes = elements.reduce((sum, { byteLength }) => sum + lengthBytes + byteLength, 0);
  const raw = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const element of elements) {
    at = raw.writeUInt32LE(element.byteLength, at);
    raw.set(element, at);
    at += element.byteLength;
  }
  return raw;
}
