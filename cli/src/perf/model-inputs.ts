import { readFile, stat } from 'node:fs/promises';

import { DATA_TYPE_BYTES, Tensor, type DataTypeName } from '@axle/core';

import { FileError, fileFailure, UsageError } from '../failure.js';
import { SeededRandom } from '../load/index.js';
import { parseInputItems, type Item, type ItemInput } from './input-file.js';
import { countOf, randomTensor, zeros } from './made-tensor.js';

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
): Promise<Item[]> {
  checkNames(model, settings);
  const inputs = model.inputs.map((input) => itemInput(model, input, settings));
  const { data, seed, stringLength } = settings;
  if (data !== 'random' && data !== 'zero') {
    return batched(model, inputs, await readItems(data, inputs), settings.batchSize);
  }
  const random = new SeededRandom(seed);
  const made = inputs.map(({ name, dtype, shape: ofItem }) => {
    const shape = withBatch(model, ofItem, settings.batchSize);
    const elementBytes = dtype === 'BYTES' ? stringLength + 4 : DATA_TYPE_BYTES[dtype];
    checkBytes(`input ${name} of shape [${shape.join(',')}]`, countOf(shape) * elementBytes);
    const tensor =
      data === 'zero' ? zeros(dtype, shape) : randomTensor(dtype, shape, random, stringLength);
    return [name, tensor] as const;
  });
  return [Object.fromEntries(made)];
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

function itemInput(
  { name: model, maxBatchSize }: ModelDescription,
  { name, dtype, shape }: ModelInput,
  { shapes }: InputSettings,
): ItemInput {
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
  return { name, dtype, shape: asked };
}

function withBatch(
  { maxBatchSize }: ModelDescription,
  shape: readonly number[],
  batchSize: number,
): readonly number[] {
  return maxBatchSize > 0 ? [batchSize, ...shape] : shape;
}

function checkBytes(what: string, bytes: number): void {
  if (bytes <= inputBytesMax) return;
  throw new UsageError(`${what} would have ${bytes} bytes; ${inputBytesMax} are the most`);
}

async function readItems(file: string, inputs: readonly ItemInput[]): Promise<Item[]> {
  try {
    const { size } = await stat(file);
    if (size > fileBytesMax) {
      const message = `it has ${size} bytes; ${fileBytesMax} are the most`;
      throw new FileError('RESOURCE_EXHAUSTED', message);
    }
    return parseInputItems(await readFile(file, 'utf8'), inputs);
  } catch (error) {
    if (!(error instanceof FileError)) throw fileFailure(error, file);
    throw new FileError(error.code, `${file}: ${error.message}`, { cause: error });
  }
}

/** As many items as one request has, one after another; the first ones fill the last request up. */
function batched(
  model: ModelDescription,
  inputs: readonly ItemInput[],
  items: readonly Item[],
  batchSize: number,
): Item[] {
  const count = Math.max(1, Math.floor(items.length / batchSize));
  const bytesOf = (item: Item) =>
    Object.values(item).reduce((sum, { byteLength }) => sum + byteLength, 0);
  const itemBytesMax = items.reduce((max, item) => Math.max(max, bytesOf(item)), 0);
  checkBytes('all requests', count * batchSize * itemBytesMax);
  return Array.from({ length: count }, (_, request) => {
    const first = request * batchSize;
    const its = Array.from({ length: batchSize }, (_, i) => items[(first + i) % items.length]);
    const made = inputs.map(({ name, dtype, shape: ofItem }) => {
      const bytes = its.flatMap((item) => item?.[name]?.bytes ?? []);
      const shape = withBatch(model, ofItem, batchSize);
      return [name, Tensor.fromBytes(dtype, Buffer.concat(bytes), shape)] as const;
    });
    return Object.fromEntries(made);
  });
}
