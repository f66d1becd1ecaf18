import { dataTypeNameOf } from '../../data-types.js';
import { OpFlag } from '../../generated/constants.js';
import type { NativeArg, NativeOpInfo } from '../../native-binding.js';
import type { TaskCompletion } from '../host-connection.js';
import type { TaskInput, TaskRequest } from '../plugin-under-test.js';
import type { TinyModel } from './tiny-models.js';

/** What goes into a sample. The same op on contents that differ in `seed` alone has inputs of the same shapes. */
export interface Content {
  readonly seed: number;
  /**
   * 'small': the least input that makes sense, for many tasks at once. Of custom ops only: 'large': some MiB; 'none' and
   * 'one': each size that the description leaves open is 0, or 1.
   */
  readonly size: 'small' | 'plain' | 'large' | 'none' | 'one';
}

/** A task that an op must take, and what is known of its result. */
export interface OpSample {
  /** For messages: 'compress gzip', 'vendor.example/blur'. */
  readonly label: string;
  readonly request: TaskRequest;
  /** Op flags. */
  readonly flags: number;
  /** Most tasks computed together; 0 = no limit of its own. */
  readonly batchMax: number;
  /** That the task runs; its id is missing in `request` until it is loaded. */
  readonly model?: TinyModel;
  /** Says what is wrong with the outputs of a task that completed OK; undefined = nothing. */
  readonly problemOf: (completion: TaskCompletion) => string | undefined;
  /** The op is the plugin's own: that these inputs make sense to it is a guess, so it may refuse them. */
  readonly mayRefuse: boolean;
  /** Of a custom op: other arguments that fit its description, which it takes, or refuses with a message. */
  readonly otherArgs?: readonly (readonly NativeArg[])[];
  /** The same with other content. */
  readonly vary: (content: Content) => OpSample;
}

export const plain: Content = { seed: 0, size: 'plain' };

/** Something of an op's samples, or of several of them with different arguments. */
export type SampleMaker = (content: Content) => Omit<OpSample, 'flags' | 'batchMax' | 'vary'>;

/** The sample of plain content, which knows how to make the others. */
export function sampleOf(op: NativeOpInfo, make: SampleMaker): OpSample {
  const vary = (content: Content): OpSample => ({
    ...make(content),
    flags: op.flags,
    batchMax: op.batchMax,
    vary,
  });
  return vary(plain);
}

export function requestOf(
  { op, version, chainFirst, chainLast }: NativeOpInfo,
  args: readonly NativeArg[],
  inputs: readonly TaskInput[],
): TaskRequest {
  return { op, version, first: chainFirst, last: chainLast, args, inputs };
}

/** The same op on the least input. */
export function smaller(sample: OpSample): OpSample {
  return sample.vary({ seed: 0, size: 'small' });
}

/** All of an output's bytes. */
export function outputBytes(completion: TaskCompletion, index: number): Buffer {
  const data = completion.outputs.find((output) => output.index === index)?.data ?? [];
  return data instanceof Uint8Array ? Buffer.from(data) : Buffer.concat(data);
}

/** Says how an output is not of this type and shape; undefined = it is. */
export function formProblem(
  { outputs }: TaskCompletion,
  index: number,
  dtype: number,
  /** -1 = any. */
  dims: readonly number[],
): string | undefined {
  const output = outputs.find((candidate) => candidate.index === index);
  if (output === undefined) {
    const given = outputs.map((other) => other.index).join(', ');
    return `there is no output ${index}${given && `, but output ${given}`}`;
  }
  if (output.dtype !== dtype) {
    return `output ${index} is ${dataTypeNameOf(output.dtype)}, not ${dataTypeNameOf(dtype)}`;
  }
  const fits =
    output.dims.length === dims.length &&
    dims.every((size, i) => size === -1 || size === output.dims[i]);
  return fits
    ? undefined
    : `output ${index} is [${output.dims.join(', ')}], not [${dims.join(', ')}]`;
}

/** Whether the op is the plugin's own. */
export function isCustom({ mayRefuse }: OpSample): boolean {
  return mayRefuse;
}

export function isPure({ flags }: OpSample): boolean {
  return (flags & OpFlag.PURE) !== 0;
}

/**
 * Whether the op gives the same bytes whatever runs beside it. Of a custom op only the form of a result is known besides;
 * of others the result itself, and what is computed together in floating point may round differently.
 */
export function isExact(sample: OpSample): boolean {
  return isPure(sample) && (isCustom(sample) || !isBatchable(sample));
}

export function isBatchable({ flags }: OpSample): boolean {
  return (flags & OpFlag.BATCHABLE) !== 0;
}

export function isStreamable({ flags }: OpSample): boolean {
  return (flags & OpFlag.STREAMABLE) !== 0;
}
