import { Tensor, type DataTypeName } from '@axle/core';

import { FileError } from '../failure.js';
import { readTensorJson } from '../tensor-json.js';

/** What each item of a file has. */
export interface ItemInput {
  readonly name: string;
  readonly dtype: DataTypeName;
  /** Of one item. */
  readonly shape: readonly number[];
}

export type Item = Readonly<Record<string, Tensor>>;

/**
 * Reads `{"data": [{"INPUT": [...]}, ...]}`: items, each with all inputs, as `[...]`, `{"content": [...]}` or, raw,
 * `{"b64": "..."}`.
 *
 * @throws FileError INVALID_ARGUMENT for anything else.
 */
export function parseInputItems(text: string, inputs: readonly ItemInput[]): Item[] {
  return entriesOf(text).map((entry, index) => {
    const tensors = inputs.map((input) => {
      const { name } = input;
      if (!Object.hasOwn(entry, name)) throw invalid(`data[${index}] has no input ${name}`);
      try {
        return [name, itemTensor(entry[name], input)] as const;
      } catch (error) {
        const said = error instanceof Error ? error.message : String(error);
        throw invalid(`data[${index}].${name}: ${said}`, error);
      }
    });
    return Object.fromEntries(tensors);
  });
}

function entriesOf(text: string): readonly Readonly<Record<string, unknown>>[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`it is no JSON: ${(error as Error).message}`, error);
  }
  const { data } = (value ?? {}) as { readonly data?: unknown };
  if (Array.isArray(data) && data.length > 0 && data.every(isEntry)) return data;
  throw invalid(
    'it is {"data": [{"INPUT": [...]}, ...]}, each object an item with every input of the model',
  );
}

function isEntry(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function itemTensor(value: unknown, { dtype, shape }: ItemInput): Tensor {
  const { b64, content = value } = (value ?? {}) as { b64?: unknown; content?: unknown };
  if (typeof b64 === 'string') return Tensor.fromBytes(dtype, Buffer.from(b64, 'base64'), shape);
  const array = readTensorJson(content, dtype);
  if (array.dtype !== dtype) throw invalid(`it is ${array.dtype}; the model takes ${dtype}`);
  return array.dtype === 'BYTES'
    ? Tensor.from('BYTES', array.elements, shape)
    : Tensor.fromBytes(array.dtype, array.bytes, shape);
}

function invalid(message: string, cause?: unknown): FileError {
  return new FileError('INVALID_ARGUMENT', message, { cause });
}
