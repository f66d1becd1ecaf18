import type { NamedTensor, TensorSpec } from '../backend.js';
import { AxleError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import type { Model } from './model.js';

/**
 * Holds the inputs of a call against what the model takes, before any device sees them: the same message whichever
 * device would have run it.
 *
 * @throws AxleError INVALID_ARGUMENT naming the input, what was expected and what came.
 */
export function checkInputs(inputs: readonly NamedTensor[], model: Model): void {
  for (const { name, tensor } of inputs) {
    const spec = model.inputs.find((input) => input.name === name);
    if (spec === undefined) throw unknownInput(name, model);
    if (spec.dtype === tensor.dtype && fits(tensor, spec)) continue;
    throw new AxleError(
      'INVALID_ARGUMENT',
      `input '${name}' of model '${model.name}' takes ${describeSpec(spec)}, not ${describeSpec(tensor)}`,
    );
  }
  for (const spec of model.inputs) {
    if (inputs.some(({ name }) => name === spec.name)) continue;
    throw new AxleError(
      'INVALID_ARGUMENT',
      `input '${spec.name}' of model '${model.name}' is missing; it takes ${describeSpec(spec)}`,
    );
  }
}

/** 'FP32 [any, 3]'. */
export function describeSpec({ dtype, shape }: Pick<TensorSpec, 'dtype' | 'shape'>): string {
  return `${dtype} [${shape.map((size) => (size === -1 ? 'any' : size)).join(', ')}]`;
}

export function unknownInput(name: string, model: Model): AxleError {
  const known = model.inputs.map((input) => `'${input.name}' ${describeSpec(input)}`);
  return new AxleError(
    'INVALID_ARGUMENT',
    `model '${model.name}' has no input '${name}'; it takes ${known.join(', ')}`,
  );
}

function fits(tensor: Tensor, spec: TensorSpec): boolean {
  return (
    tensor.shape.length === spec.shape.length &&
    spec.shape.every((size, i) => size === -1 || size === tensor.shape[i])
  );
}
