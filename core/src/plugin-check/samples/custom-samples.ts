import { ArgType, DataType } from '../../generated/constants.js';
import type {
  NativeArg,
  NativeArgSpec,
  NativeOpInfo,
  NativeTensorSpec,
} from '../../native-binding.js';
import type { TaskCompletion } from '../host-connection.js';
import type { TaskInput } from '../plugin-under-test.js';
import { encodeValues } from '../tensor-values.js';
import { formProblem, requestOf, sampleOf, type Content, type OpSample } from './sample.js';
import { text } from './text.js';

/** For dimensions that may have any size: the last one, and those before it. Enough that the host copies nothing. */
const lastSize = 5000;
const lastSizeSmall = 64;
const anySize = 2;
/** Numbers go 0, 1, ... below this: every type has them, and every op should understand them. */
const numbersBelow = 5;

/** An op of the plugin's own, on inputs and required arguments that fit its description. */
export function customSamples(op: NativeOpInfo): OpSample[] {
  return [
    sampleOf(op, (content) => ({
      label: op.name,
      mayRefuse: true,
      request: requestOf(
        op,
        op.args.filter(({ required }) => required).map(plainArg),
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

function plainArg({ name, type }: NativeArgSpec): NativeArg {
  const value =
    type === ArgType.BOOL
      ? false
      : type === ArgType.STRING
        ? ''
        : type === ArgType.BYTES
          ? Uint8Array.of(0)
          : 1;
  return [name, type, value];
}

function plainInput({ name, dtype, dims }: NativeTensorSpec, { seed, small }: Content): TaskInput {
  const last = dims.length - 1;
  const freeSize = small ? lastSizeSmall : lastSize;
  const sizes = dims.map((size, i) => (size >= 0 ? size : i === last ? freeSize : anySize));
  const count = sizes.reduce((product, size) => product * size, 1);
  const data =
    dtype === DataType.UINT8
      ? text(count, seed)
      : encodeValues(
          dtype,
          Array.from({ length: count }, (_, i) => (i + seed) % numbersBelow),
        );
  return { name: name || null, dtype, dims: sizes, data };
}
