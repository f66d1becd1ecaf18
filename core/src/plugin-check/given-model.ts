import { DataType, OPS } from '../generated/constants.js';
import type { TensorSpec } from '../backend.js';
import { defaultLimits } from '../limits.js';
import type { Model } from '../models/model.js';
import { ModelRepository } from '../models/repository.js';
import type { TaskInput, TaskRequest } from './plugin-under-test.js';
import { noise } from './samples/noise.js';
import { encodeValues } from './tensor-values.js';
import { inferTolerance, type NumberTolerance } from './tolerance.js';
import { dataTypeNameOf } from '../data-types.js';

/** What stands for a size that the model leaves open and its warm-ups do not tell. */
const openSize = 16;

/**
 * A model that the rules are tried on because it was asked for.
 *
 * @param path absolute, of an .onnx file or of a folder in Triton's layout.
 * @throws AxleError as `ModelRepository.read`.
 */
export function readGivenModel(path: string): Promise<Model> {
  return new ModelRepository([], defaultLimits).read(path);
}

/**
 * Made-up inputs, by the model's own description: numbers from 0 to 1, of whole numbers 0 and 1 (which are an index
 * into most tables), empty texts.
 *
 * @param rows the seed of each row; of a model that takes no batch the first one alone counts.
 */
export function inferRequest(model: Model, rows: readonly number[]): TaskRequest {
  const { id: op, version } = OPS.infer;
  return { op, version, args: [], inputs: model.inputs.map((spec) => inputOf(model, spec, rows)) };
}

function inputOf(model: Model, spec: TensorSpec, rows: readonly number[]): TaskInput {
  const { name } = spec;
  const dtype = DataType[spec.dtype];
  const shape = itemShape(model, spec);
  const batched = model.maxBatchSize > 0;
  const seeds = batched ? rows : rows.slice(0, 1);
  const count = shape.reduce((product, size) => product * size, 1);
  const isWhole = spec.dtype === 'BOOL' || /INT/.test(spec.dtype);
  const values = seeds
    .flatMap((seed) => noise(count, seed))
    .map((value) => (isWhole ? Math.round(value) : value));
  const dims = batched ? [seeds.length, ...shape] : shape;
  return { name, dtype, dims, data: encodeValues(dtype, values) };
}

/** Without the batch. */
function itemShape({ maxBatchSize, warmUps }: Model, { name, shape, anyRank }: TensorSpec) {
  const told = warmUps.flatMap(({ inputs }) => inputs).find((input) => input.name === name)?.shape;
  if (anyRank === true) return told ?? [openSize];
  const own = maxBatchSize > 0 ? shape.slice(1) : shape;
  return own.map((size, i) => (size >= 0 ? size : (told?.[i] ?? openSize)));
}

/** Whether the inputs have sizes that nothing tells: the model need not take them. */
export function isGuessed({ inputs, warmUps, maxBatchSize }: Model): boolean {
  const told = new Set(warmUps.flatMap((entry) => entry.inputs.map(({ name }) => name)));
  return inputs.some(({ name, shape, anyRank }) => {
    const own = maxBatchSize > 0 ? shape.slice(1) : shape;
    return !told.has(name) && (anyRank === true || own.includes(-1));
  });
}

/**
 * The tolerance of the type, and for numbers near zero among large ones what the large ones leave: sums of large terms
 * that cancel out have the rounding of the terms.
 */
export function givenTolerance(dtype: number, wanted: readonly number[]): NumberTolerance {
  const { relative, absolute } = inferTolerance(dataTypeNameOf(dtype) ?? 'UINT8');
  let largest = 0;
  for (const value of wanted) {
    if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  }
  return { relative, absolute: Math.max(absolute, relative * largest) };
}
