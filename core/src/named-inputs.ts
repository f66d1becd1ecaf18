import { argumentError } from './argument-error.js';
import { checkAttached } from './attached-memory.js';
import type { NamedTensor, TensorSpec } from './backend.js';
import type { NamedInputs } from './client.js';
import { AxleError, messageOf } from './errors.js';
import { DATA_TYPE_BYTES } from './generated/constants.js';
import { KeptTensor, tensorBeneath } from './kept-tensor.js';
import { Tensor, tensorOver, type TensorData } from './tensor.js';

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
export function namedTensors(inputs: NamedInputs, taker: InputTaker): NamedTensor[] {
  if (typeof inputs !== 'object' || inputs === null) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `the inputs of ${taker.label} are ${inputs === null ? 'null' : typeof inputs}; ` +
        `give an object with a tensor for each name`,
    );
  }
  const names = Object.keys(inputs);
  const [only] = names;
  const tensors =
    names.length === 1 && only !== undefined
      ? [namedTensor(only, inputs[only], taker)]
      : names.map((name) => namedTensor(name, inputs[name], taker));
  checkBatch(tensors, taker);
  if (tensors.length < taker.inputs.length) throw missingInput(tensors, taker);
  return tensors;
}

/** Of tensors that have their names, each once. @throws as `namedTensors` */
export function checkNamed(tensors: readonly NamedTensor[], taker: InputTaker): void {
  for (const { name, tensor } of tensors) {
    const spec = specOf(taker, name);
    if (spec === undefined) throw unknownInput(name, taker);
    checkInput(tensor, spec, taker);
  }
  checkBatch(tensors, taker);
  if (tensors.length < taker.inputs.length) throw missingInput(tensors, taker);
}

function namedTensor(name: string, value: unknown, taker: InputTaker): NamedTensor {
  const spec = specOf(taker, name);
  if (spec === undefined) throw unknownInput(name, taker);
  const given = tensorGiven(value);
  if (given === undefined) return { name, tensor: shapedTensor(value, spec, taker) };
  checkInput(given, spec, taker);
  return { name, tensor: given };
}

function tensorGiven(value: unknown): Tensor | undefined {
  if (value instanceof Tensor) return value as Tensor;
  return value instanceof KeptTensor ? tensorBeneath(value as KeptTensor) : undefined;
}

function specOf(taker: InputTaker, name: string): TensorSpec | undefined {
  for (const spec of taker.inputs) if (spec.name === name) return spec;
  return undefined;
}

/** A bare array takes the shape that is asked for; its one free dimension is what is left. */
function shapedTensor(value: unknown, spec: TensorSpec, taker: InputTaker): Tensor {
  const count = elementsIn(value, spec, taker);
  if (spec.anyRank) return typedTensor(value, spec, [count], taker);
  let fixed = 1;
  let free = 0;
  for (const size of spec.shape) {
    if (size === -1) free += 1;
    else fixed *= size;
  }
  const left = count / fixed;
  if (free > 1 || !Number.isInteger(left) || (free === 0 && left !== 1)) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `input '${spec.name}' of ${taker.label} takes ${describeSpec(spec)}; ` +
        `${count} elements do not fill it. Give a Tensor with the shape that is meant`,
    );
  }
  const shape =
    spec.shape.length === 1 ? [count] : spec.shape.map((size) => (size === -1 ? left : size));
  return typedTensor(value, spec, shape, taker);
}

function elementsIn(value: unknown, spec: TensorSpec, taker: InputTaker): number {
  if (Array.isArray(value)) return value.length;
  if (!ArrayBuffer.isView(value)) {
    const wanted = 'a Tensor, a typed array or an array of strings';
    throw argumentError(`input '${spec.name}' of ${taker.label}`, value, wanted);
  }
  const { byteLength } = value;
  if (byteLength === 0) checkAttached(value.buffer, `input '${spec.name}' of ${taker.label}`);
  return byteLength / DATA_TYPE_BYTES[spec.dtype];
}

function typedTensor(
  value: unknown,
  spec: TensorSpec,
  shape: readonly number[],
  taker: InputTaker,
): Tensor {
  try {
    return tensorOver(spec.dtype, value as TensorData, shape, true);
  } catch (error) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `input '${spec.name}' of ${taker.label}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/**
 * Holds a tensor against what is taken, before any device sees it: the same message whichever device would have run
 * it.
 *
 * @throws AxleError INVALID_ARGUMENT naming the input, what was expected and what came.
 */
function checkInput(tensor: Tensor, spec: TensorSpec, taker: InputTaker): void {
  if (spec.dtype === tensor.dtype && fits(tensor, spec)) return;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `input '${spec.name}' of ${taker.label} takes ${describeSpec(spec)}, not ${describeSpec(tensor)}`,
  );
}

function missingInput(given: readonly NamedTensor[], taker: InputTaker): AxleError {
  const spec = taker.inputs.find((input) => !given.some(({ name }) => name === input.name));
  if (spec === undefined) return new AxleError('INTERNAL', `${taker.label} has an input twice`);
  return new AxleError(
    'INVALID_ARGUMENT',
    `input '${spec.name}' of ${taker.label} is missing; it takes ${describeSpec(spec)}`,
  );
}

/** Dimension 0 is the batch, one for all inputs. */
function checkBatch(inputs: readonly NamedTensor[], taker: InputTaker): void {
  if (taker.maxBatchSize === 0 || inputs.length < 2) return;
  const first = inputs[0] as NamedTensor;
  const rows = first.tensor.shape[0];
  const other = inputs.find(({ tensor }) => tensor.shape[0] !== rows);
  if (other === undefined) return;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `input '${other.name}' of ${taker.label} has a batch of ${other.tensor.shape[0] ?? 0}, ` +
      `but '${first.name}' one of ${rows ?? 0}; give both as many`,
  );
}

/** 'FP32 [any, 3]'. */
export function describeSpec({ dtype, shape }: Pick<TensorSpec, 'dtype' | 'shape'>): string {
  return `${dtype} [${shape.map((size) => (size === -1 ? 'any' : size)).join(', ')}]`;
}

function unknownInput(name: string, taker: InputTaker): AxleError {
  const known = taker.inputs.map((input) => `'${input.name}' ${describeSpec(input)}`);
  return new AxleError(
    'INVALID_ARGUMENT',
    `${taker.label} has no input '${name}'; it takes ${known.join(', ')}`,
  );
}

/** Whether the shape of a tensor is one that is described. */
export function fits({ shape }: Tensor, spec: TensorSpec): boolean {
  if (spec.anyRank) return true;
  if (shape.length !== spec.shape.length) return false;
  for (let i = 0; i < shape.length; i++) {
    if (spec.shape[i] !== -1 && spec.shape[i] !== shape[i]) return false;
  }
  return true;
}
