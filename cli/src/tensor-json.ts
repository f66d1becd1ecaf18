import type { DataTypeName } from '@axle/core';

import { FileError } from './failure.js';
import { elementCodecs, type JsonElement } from './tensor-elements.js';

/** A dense, row-major array: raw little-endian bytes, or for BYTES its elements. */
export type ArrayData =
  | {
      readonly dtype: Exclude<DataTypeName, 'BYTES'>;
      readonly shape: readonly number[];
      readonly bytes: Uint8Array;
    }
  | {
      readonly dtype: 'BYTES';
      readonly shape: readonly number[];
      readonly elements: readonly Uint8Array[];
    };

const dimensionsMax = 64;

/**
 * Reads a tensor from JSON: nested arrays, whose type is `declared` or else FP32, BOOL or BYTES by what they hold; or
 * as in KServe v2 an object `{"datatype": "INT64", "shape": [2, 3], "data": [...]}`, nested or flat.
 *
 * @throws FileError INVALID_ARGUMENT when arrays are uneven or an element does not fit the type.
 */
export function parseTensorJson(text: string, declared: DataTypeName | undefined): ArrayData {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`it is no JSON: ${(error as Error).message}`);
  }
  return readTensorJson(value, declared);
}

/** As `parseTensorJson`, of JSON that was parsed. */
export function readTensorJson(value: unknown, declared: DataTypeName | undefined): ArrayData {
  const object = readObject(value);
  const { shape: nesting, elements } = flatten(object === undefined ? value : object.data);
  const shape = object?.shape ?? nesting;
  if (shape.reduce((product, size) => product * size, 1) !== elements.length) {
    throw invalid(`shape [${shape.join(', ')}] does not fit its ${elements.length} elements`);
  }
  const dtype = object?.dtype ?? declared ?? guessType(elements);
  return dtype === 'BYTES' ? stringArray(shape, elements) : numberArray(dtype, shape, elements);
}

/** The nested arrays of a tensor, which `parseTensorJson` reads back to the same bytes. */
export function formatTensorJson(array: ArrayData): string {
  const texts =
    array.dtype === 'BYTES' ? stringTexts(array.elements) : numberTexts(array.dtype, array.bytes);
  return nest(texts, array.shape);
}

/** The first elements, for people. */
export function previewElements(array: ArrayData, countMax: number): readonly string[] {
  if (array.dtype === 'BYTES') return stringTexts(array.elements.slice(0, countMax));
  const bytesMax = countMax * elementCodecs[array.dtype].bytes;
  return numberTexts(array.dtype, array.bytes.subarray(0, bytesMax));
}

/** The largest number and its position in row-major order; undefined where there are no numbers. */
export function largestElement(
  array: ArrayData,
): { readonly value: number; readonly index: number } | undefined {
  if (array.dtype === 'BYTES') return undefined;
  const codec = elementCodecs[array.dtype];
  const view = new DataView(array.bytes.buffer, array.bytes.byteOffset, array.bytes.byteLength);
  let largest: { value: number; index: number } | undefined;
  for (let index = 0; index < array.bytes.byteLength / codec.bytes; index += 1) {
    const value = codec.read(view, index * codec.bytes);
    if (typeof value === 'number' && (largest === undefined || value > largest.value)) {
      largest = { value, index };
    }
  }
  return largest;
}

interface TensorObject {
  readonly dtype: DataTypeName | undefined;
  readonly shape: readonly number[] | undefined;
  readonly data: unknown;
}

function readObject(value: unknown): TensorObject | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { datatype, dtype = datatype, shape, data } = value as Record<string, unknown>;
  if (data === undefined)
    throw invalid('an object needs "data", and may have "datatype" and "shape"');
  if (dtype !== undefined && !isDataType(dtype)) {
    const types = [...Object.keys(elementCodecs), 'BYTES'].join(', ');
    throw invalid(`datatype ${describe(dtype)} is not known; there are ${types}`);
  }
  if (shape !== undefined && !isShape(shape)) {
    throw invalid('"shape" is an array of whole numbers from 0 up');
  }
  return { dtype, shape, data };
}

function isDataType(value: unknown): value is DataTypeName {
  return typeof value === 'string' && (value === 'BYTES' || Object.hasOwn(elementCodecs, value));
}

function isShape(value: unknown): value is number[] {
  const isSize = (size: unknown) => Number.isSafeInteger(size) && (size as number) >= 0;
  return Array.isArray(value) && value.length <= dimensionsMax && value.every(isSize);
}

/** The shape is that of the first elements; all others must agree. */
function flatten(value: unknown): { shape: number[]; elements: JsonElement[] } {
  const shape: number[] = [];
  for (let inner = value; Array.isArray(inner); inner = inner[0] as unknown) {
    if (shape.length === dimensionsMax) throw invalid(`more than ${dimensionsMax} dimensions`);
    shape.push(inner.length);
  }
  const elements: JsonElement[] = [];
  const visit = (item: unknown, dimension: number): void => {
    if (dimension === shape.length) {
      elements.push(checkElement(item));
      return;
    }
    if (!Array.isArray(item) || item.length !== shape[dimension]) {
      throw invalid(`the arrays of dimension ${dimension} differ in length`);
    }
    for (const inner of item) visit(inner, dimension + 1);
  };
  visit(value, 0);
  return { shape, elements };
}

function checkElement(item: unknown): JsonElement {
  if (typeof item === 'number' || typeof item === 'string' || typeof item === 'boolean')
    return item;
  const what = Array.isArray(item) ? 'an array deeper than the first one' : describe(item);
  throw invalid(`${what} is no element: numbers, strings, true and false are`);
}

function guessType(elements: readonly JsonElement[]): DataTypeName {
  if (elements.length > 0 && elements.every((element) => typeof element === 'boolean'))
    return 'BOOL';
  const isText = (element: JsonElement) =>
    typeof element === 'string' && !['NaN', 'Infinity', '-Infinity'].includes(element);
  return elements.some(isText) ? 'BYTES' : 'FP32';
}

function stringArray(shape: readonly number[], elements: readonly JsonElement[]): ArrayData {
  const encoded = elements.map((element) => {
    if (typeof element === 'string') {
      if (!/\p{Surrogate}/u.test(element)) return Buffer.from(element);
      throw invalid(`${JSON.stringify(element)} does not fit: it has half a surrogate pair`);
    }
    throw invalid(`${JSON.stringify(element)} does not fit: BYTES takes strings`);
  });
  return { dtype: 'BYTES', shape, elements: encoded };
}

function numberArray(
  dtype: Exclude<DataTypeName, 'BYTES'>,
  shape: readonly number[],
  elements: readonly JsonElement[],
): ArrayData {
  const codec = elementCodecs[dtype];
  const bytes = new Uint8Array(elements.length * codec.bytes);
  const view = new DataView(bytes.buffer);
  elements.forEach((element, index) => codec.write(view, index * codec.bytes, element));
  return { dtype, shape, bytes };
}

function numberTexts(dtype: Exclude<DataTypeName, 'BYTES'>, bytes: Uint8Array): string[] {
  const codec = elementCodecs[dtype];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: string[] = [];
  for (let offset = 0; offset + codec.bytes <= bytes.byteLength; offset += codec.bytes) {
    const value = codec.read(view, offset);
    texts.push(Object.is(value, -0) ? '-0' : JSON.stringify(value));
  }
  return texts;
}

function stringTexts(elements: readonly Uint8Array[]): string[] {
  return elements.map((element) =>
    JSON.stringify(Buffer.from(element.buffer, element.byteOffset, element.byteLength).toString()),
  );
}

function nest(texts: readonly string[], shape: readonly number[]): string {
  let level: readonly string[] = texts;
  for (let dimension = shape.length - 1; dimension >= 0; dimension -= 1) {
    const size = shape[dimension] as number;
    const count = shape.slice(0, dimension).reduce((product, outer) => product * outer, 1);
    const outer: string[] = [];
    for (let index = 0; index < count; index += 1) {
      outer.push(`[${level.slice(index * size, (index + 1) * size).join(',')}]`);
    }
    level = outer;
  }
  return level[0] ?? 'null';
}

/** For messages. Not `JSON.stringify` of what nests: it runs out of stack where `JSON.parse` does not. */
function describe(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : JSON.stringify(value);
}

function invalid(message: string): FileError {
  return new FileError('INVALID_ARGUMENT', message);
}
