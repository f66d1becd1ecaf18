import { argumentError } from './argument-error.js';
import type { NamedTensor, TensorSpec } from './backend.js';
import type { InferInputs } from './client.js';
import { AxleError, messageOf } from './errors.js';
import { DATA_TYPE_BYTES } from './generated/constants.js';
import { Tensor, type TensorData } from './tensor.js';

/** What takes named inputs: a model or a custom op. */
export interface InputTaker {
  /** For messages: "model 'mlp'". */
  readonly label: string;
  readonly inputs: readonly TensorSpec[];
  /** Over 0: dimension 0 of all inputs is one batch. */
  readonly maxBatchSize: number;
}

/**
 * The inputs of a call as named tensors, bare arrays shaped as the taker asks for.
 *
 * @throws AxleError INVALID_ARGUMENT, naming the input, when they are not what it takes.
 */
export function namedTensors(inputs: InferInputs, taker: InputTaker): NamedTensor[] {
  if (typeof inputs !== 'object' || inputs === null) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `the inputs of ${taker.label} are ${inputs === null ? 'null' : typeof inputs}; ` +
        `give an object with a tensor for each name`,
    );
  }
  const tensors = Object.entries(inputs).map(([name, value]) => {
    if (value instanceof Tensor) return { name, tensor: value };
    const spec = taker.inputs.find((input) => input.name === name);
    if (spec === undefined) throw unknownInput(name, taker);
    return {
      name,
      tensor: shapedTensor(value, spec, taker),
    };
  });
  checkInputs(tensors, taker);
  return tensors;
}

/** A bare array takes the shape that is asked for; its one free dimension is what is left. */
function shapedTensor(
  value: ArrayBufferView | readonly string[],
  spec: TensorSpec,
  taker: InputTaker,
): Tensor {
  if (!ArrayBuffer.isView(value) && !Array.isArray(value)) {
    const wanted = 'a Tensor, a typed array or an array of strings';
    throw argumentError(`input '${spec.name}' of ${taker.label}`, value, wanted);
  }
  const elementBytes = DATA_TYPE_BYTES[spec.dtype];
  const count = ArrayBuffer.isView(value) ? value.byteLength / elementBytes : value.length;
  if (spec.anyRank) return typedTensor(value, spec, [count], taker);
  const free = spec.shape.filter((size) => size === -1).length;
  const fixed = spec.shape.reduce((product, size) => (size === -1 ? product : product * size), 1);
  const left = count / fixed;
  if (free > 1 || !Number.isInteger(left) || (free === 0 && left !== 1)) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `input '${spec.name}' of ${taker.label} takes ${describeSpec(spec)}; ` +
        `${count} elements do not fill it. Give a Tensor with the shape that is meant`,
    );
  }
  const shape = spec.shape.map((size) => (size === -1 ? left : size));
  return typedTensor(value, spec, shape, taker);
}

function typedTensor(
  value: ArrayBufferView | readonly string[],
  spec: TensorSpec,
  shape: readonly number[],
  taker: InputTaker,
): Tensor {
  try {
    return Tensor.from(spec.dtype, value as TensorData, shape);
  } catch (error) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `input '${spec.name}' of ${taker.label}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/**
 * Holds the inputs of a call against what is taken, before any device sees them: the same message whichever
 * device would have run it.
 *
 * @throws AxleError INVALID_ARGUMENT naming the input, what was expected and what came.
 */
function checkInputs(inputs: readonly NamedTensor[], taker: InputTaker): void {
  for (const { name, tensor } of inputs) {
    const spec = taker.inputs.find((input) => input.name === name);
    if (spec === undefined) throw unknownInput(name, taker);
    if (spec.dtype === tensor.dtype && fits(tensor, spec)) continue;
    throw new AxleError(
      'INVALID_ARGUMENT',
      `input '${name}' of ${taker.label} takes ${describeSpec(spec)}, not ${describeSpec(tensor)}`,
    );
  }
  checkBatch(inputs, taker);
  for (const spec of taker.inputs) {
    if (inputs.some(({ name }) => name === spec.name)) continue;
    throw new AxleError(
      'INVALID_ARGUMENT',
      `input '${spec.name}' of ${taker.label} is missing; it takes ${describeSpec(spec)}`,
    );
  }
}

/** Dimension 0 is the batch, one for all inputs. */
function checkBatch(inputs: readonly NamedTensor[], taker: InputTaker): void {
  const [first, ...others] = inputs;
  if (taker.maxBatchSize === 0 || first === undefined) return;
  const rows = first.tensor.shape[0];
  const other = others.find(({ tensor }) => tensor.shape[0] !== rows);
  if (other === undefined) return;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `input '${other.name}' of ${taker.label} has a batch of ${other.tensor.shape[0] ?? 0}, ` +
      `but '${first.name}' one of ${rows ?? 0}; give both as many`,
  );
}

/** 'FP32 [any, 3]'. */
function describeSpec({ dtype, shape }: Pick<TensorSpec, 'dtype' | 'shape'>): string {
  return `${dtype} [${shape.map((size) => (size === -1 ? 'any' : size)).join(', ')}]`;
}

function unknownInput(name: string, taker: InputTaker): AxleError {
  const known = taker.inputs.map((input) => `'${input.name}' ${describeSpec(input)}`);
  return new AxleError(
    'INVALID_ARGUMENT',
    `${taker.label} has no input '${name}'; it takes ${known.join(', ')}`,
  );
}

function fits(tensor: Tensor, spec: TensorSpec): boolean {
  if (spec.anyRank) return true;
  return (
    tensor.shape.length === spec.shape.length &&
    spec.shape.every((size, i) => size === -1 || size === tensor.shape[i])
  );
}
