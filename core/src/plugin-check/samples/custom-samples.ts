import { DataType } from '../../generated/constants.js';
import type { NativeOpInfo, NativeTensorSpec } from '../../native-binding.js';
import type { GivenArgs } from '../given-args.js';
import type { TaskCompletion } from '../host-connection.js';
import type { TaskInput } from '../plugin-under-test.js';
import { encodeValues } from '../tensor-values.js';
import { otherArgs, plainArgs } from './sample-args.js';
import { formProblem, requestOf, sampleOf, type Content, type OpSample } from './sample.js';
import { text } from './text.js';

/** For dimensions that may have any size, those before the last one. */
const anySize = 2;
/** For the last one. Plain is enough that the host copies nothing. */
const lastSizes = { none: 0, one: 1, small: 64, plain: 5000, large: 1 };
/** Of a large input that has such a dimension. */
const largeBytes = 4 * 1024 * 1024;
/** Numbers go 0, 1, ... below this: every type has them, and every op should understand them. */
const numbersBelow = 5;

/** An op of the plugin's own, on inputs and required arguments that fit its description. */
export function customSamples(op: NativeOpInfo, given: GivenArgs): OpSample[] {
  const args = plainArgs(op, given);
  const others = otherArgs(op, given);
  return [
    sampleOf(op, (content) => ({
      label: op.name,
      mayRefuse: true,
      otherArgs: others,
      request: requestOf(
        op,
        args,
        op.inputs.map((spec) => plainInput(spec, content)),
      ),
      problemOf: (completion) => descriptionProblem(op, completion),
    })),
  ];
}

function descriptionProblem(op: NativeOpInfo, completion: TaskCompletion): string | undefined {
  const { length } = completion.outputs;
  if (length !== op.outputs.length) {
    return `it gives ${length} outputs, and describes ${op.outputs.length}`;
  }
  for (const [i, { dtype, dims }] of op.outputs.entries()) {
    const problem = formProblem(completion, i, dtype, dims);
    if (problem !== undefined) return `against its description, ${problem}`;
  }
  return undefined;
}

function sizesOf(dims: readonly number[], size: Content['size']): number[] {
  const last = dims.length - 1;
  const others = size === 'none' || size === 'one' ? lastSizes[size] : anySize;
  return dims.map((told, i) => (told >= 0 ? told : i === last ? lastSizes[size] : others));
}

/** @param free which of the sizes may be any; -1 = none. */
function enlarge(sizes: number[], free: number, elementBytes: number): void {
  if (free < 0) return;
  sizes[free] = 1;
  sizes[free] = Math.ceil(largeBytes / elementBytes / Math.max(productOf(sizes), 1));
}

function productOf(sizes: readonly number[]): number {
  return sizes.reduce((product, size) => product * size, 1);
}

function plainInput({ name, dtype, dims }: NativeTensorSpec, { seed, size }: Content): TaskInput {
  const sizes = sizesOf(dims, size);
  if (size === 'large') enlarge(sizes, dims.lastIndexOf(-1), encodeValues(dtype, [0]).length);
  const count = productOf(sizes);
  const data =
    dtype === DataType.UINT8
      ? text(count, seed)
      : encodeValues(
          dtype,
          Array.from({ length: count }, (_, i) => (i + seed) % numbersBelow),
        );
  return { name: name || null, dtype, dims: sizes, data };
}
