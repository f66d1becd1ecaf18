import { readFile, stat } from 'node:fs/promises';

import { DATA_TYPE_BYTES, Tensor, type DataTypeName } from '@axle/core';

import { FileError, fileFailure, UsageError } from '../failure.js';
import { SeededRandom } from '../load/index.js';
import { bfloat16, encodeSmallFloat, float16 } from '../small-float.js';
import { readTensorJson } from '../tensor-json.js';

/** What a model takes, wherever it is. */
export interface ModelDescription {
  readonly name: string;
  /** Over 0: the first dimension of each tensor is the batch. */
  readonly maxBatchSize: number;
  readonly inputs: readonly {
    readonly name: string;
    readonly dtype: DataTypeName;
    /** -1 stands for any. */
    readonly shape: readonly number[];
  }[];
}

export interface InputSettings {
  readonly batchSize: number;
  /** Without the batch dimension, by input. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** 'random', 'zero' or the path of a file. */
  readonly data: string;
  /** Characters of random text. */
  readonly stringLength: number;
  readonly seed: number;
}

export type RequestInputs = Readonly<Record<string, Tensor>>;

/** Of all requests together. */
const inputBytesMax = 1024 ** 3;
const fileBytesMax = 256 * 1024 ** 2;

/**
 * The inputs of requests, to be sent one after another and again from the first.
 *
 * @throws UsageError for options that do not fit the model; FileError for a file that does not.
 */
export async function makeInputs(
  model: ModelDescription,
  settings: InputSettings,
): Promise<RequestInputs[]> {
  checkNames(model, settings);
  const shapes = model.inputs.map((input) => itemShape(model, input, settings));
  const { data, batchSize } = settings;
  if (data !== 'random' && data !== 'zero') {
    const items = await readItems(data, model, shapes);
    return batched(model, items, batchSize);
  }
  const random = new SeededRandom(settings.seed);
  const inputs = model.inputs.map(({ name, dtype }, index) => {
    const shape = withBatch(model, shapes[index] ?? [], batchSize);
    checkBytes(name, dtype, shape, settings);
    const tensor =
      data === 'zero' ? zeros(dtype, shape) : randomTensor(dtype, shape, random, settings);
    return [name, tensor] as const;
  });
  return [Object.fromEntries(inputs)];
}

function checkNames({ name, maxBatchSize, inputs }: ModelDescription, settings: InputSettings) {
  const { batchSize, shapes } = settings;
  for (const shaped of shapes.keys()) {
    if (inputs.some((input) => input.name === shaped)) continue;
    const there = inputs.map((input) => input.name).join(', ');
    throw new UsageError(`--shape ${shaped}: ${name} has no such input; it has ${there}`);
  }
  if (batchSize > 1 && maxBatchSize === 0) {
    throw new UsageError(`${name} has no batch dimension; leave --batch-size out`);
  }
}

type ModelInput = ModelDescription['inputs'][number];

/** Of one item. */
function itemShape(
  { name: model, maxBatchSize }: ModelDescription,
  { name, shape }: ModelInput,
  { shapes }: InputSettings,
): readonly number[] {
  const declared = maxBatchSize > 0 ? shape.slice(1) : shape;
  const asked = shapes.get(name) ?? declared;
  const said = `[${declared.join(',')}]`;
  const fits = declared.every((size, at) => size < 0 || size === asked[at]);
  if (asked.length !== declared.length || !fits) {
    throw new UsageError(
      `--shape ${name}:${asked.join(',')} does not fit ${model}, which takes ${said}`,
    );
  }
  if (asked.some((size) => size < 0)) {
    throw new UsageError(
      `${model} takes ${name} of any size, ${said}; say which by --shape ${name}:${declared.map((size) => (size < 0 ? 'N' : size)).join(',')}`,
    );
  }
  return asked;
}

function withBatch(
  { maxBatchSize }: ModelDescription,
  shape: readonly number[],
  batchSize: number,
): readonly number[] {
  return maxBatchSize > 0 ? [batchSize, ...shape] : shape;
}

function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function checkBytes(
  name: string,
  dtype: DataTypeName,
  shape: readonly number[],
  { stringLength }: InputSettings,
): void {
  const elementBytes = dtype === 'BYTES' ? stringLength + 4 : DATA_TYPE_BYTES[dtype];
  const bytes = countOf(shape) * elementBytes;
  if (bytes <= inputBytesMax) return;
  throw new UsageError(
    `input ${name} of shape [${shape.join(',')}] would have ${bytes} bytes; ${inputBytesMax} are the most`,
  );
}

function zeros(dtype: DataTypeName, shape: readonly number[]): Tensor {
  if (dtype === 'BYTES') return Tensor.from(dtype, Array<string>(countOf(shape)).fill(''), shape);
  return Tensor.fromBytes(dtype, new Uint8Array(countOf(shape) * DATA_TYPE_BYTES[dtype]), shape);
}

/** Small enough to be an index into most tables, which whole numbers often are. */
const wholeNumberMax = 127;
const letters = 'abcdefghijklmnopqrstuvwxyz';

/** Fractions from 0 to 1, bytes from 0 to 255, other whole numbers from 0 to 127, letters. */
function randomTensor(
  dtype: DataTypeName,
  shape: readonly number[],
  random: SeededRandom,
  { stringLength }: InputSettings,
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

/** Items of a file, each with all inputs of the model. */
async function readItems(
  file: string,
  model: ModelDescription,
  shapes: readonly (readonly number[])[],
): Promise<RequestInputs[]> {
  const entries = await readEntries(file);
  return entries.map((entry, index) => {
    const tensors = model.inputs.map(({ name, dtype }, at) => {
      const value = entry[name];
      if (value === undefined) {
        throw new FileError('INVALID_ARGUMENT', `${file}: data[${index}] has no input ${name}`);
      }
      try {
        return [name, itemTensor(value, dtype, shapes[at] ?? [])] as const;
      } catch (error) {
        const said = error instanceof Error ? error.message : String(error);
        throw new FileError('INVALID_ARGUMENT', `${file}: data[${index}].${name}: ${said}`, {
          cause: error,
        });
      }
    });
    return Object.fromEntries(tensors);
  });
}

async function readEntries(file: string): Promise<Readonly<Record<string, unknown>>[]> {
  let value: unknown;
  try {
    const { size } = await stat(file);
    if (size > fileBytesMax) {
      throw new FileError(
        'RESOURCE_EXHAUSTED',
        `${file} has ${size} bytes; ${fileBytesMax} are the most`,
      );
    }
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw fileFailure(error, file);
    throw new FileError('INVALID_ARGUMENT', `${file} is no JSON: ${error.message}`);
  }
  const { data } = (value ?? {}) as { readonly data?: unknown };
  const isEntry = (each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each);
  if (Array.isArray(data) && data.length > 0 && data.every(isEntry)) {
    return data as Record<string, unknown>[];
  }
  throw new FileError(
    'INVALID_ARGUMENT',
    `${file}: it is {"data": [{"INPUT": [...]}, ...]}, each object an item with every input of the model`,
  );
}

/** `[...]`, `{"content": [...], "shape": [...]}` or, raw, `{"b64": "..."}`. */
function itemTensor(value: unknown, dtype: DataTypeName, shape: readonly number[]): Tensor {
  const { b64, content = value } = (value ?? {}) as { b64?: unknown; content?: unknown };
  if (typeof b64 === 'string') return Tensor.fromBytes(dtype, Buffer.from(b64, 'base64'), shape);
  const array = readTensorJson(content, dtype);
  return array.dtype === 'BYTES'
    ? Tensor.from('BYTES', array.elements, shape)
    : Tensor.fromBytes(array.dtype, array.bytes, shape);
}

/** As many items as one request has, one after another; the first ones fill the last request up. */
function batched(
  model: ModelDescription,
  items: readonly RequestInputs[],
  batchSize: number,
): RequestInputs[] {
  const count = Math.max(1, Math.floor(items.length / batchSize));
  return Array.from({ length: count }, (_, request) => {
    const first = request * batchSize;
    const its = Array.from({ length: batchSize }, (_, i) => items[(first + i) % items.length]);
    const inputs = model.inputs.map(({ name, dtype }) => {
      const tensors = its.map((item) => item?.[name] as Tensor);
      const shape = withBatch(model, tensors[0]?.shape ?? [], batchSize);
      return [
        name,
        Tensor.fromBytes(dtype, Buffer.concat(tensors.map(({ bytes }) => bytes)), shape),
      ] as const;
    });
    return Object.fromEntries(inputs);
  });
}
