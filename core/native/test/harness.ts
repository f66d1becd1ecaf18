import { dirname, join } from 'node:path';
import type { NativeBinding, NativeOutput } from '../../src/native-binding.js';
import { completionField, numbersPerCompletion } from '../../src/native-binding.js';
import { loadNativeBinding, nativeAddonPath } from '../../src/native-loader.js';

/** Ops of `core/native/test-plugin`. */
export const TestOp = {
  echo: 65536,
  misbehave: 65537,
  sleep: 65538,
  args: 65539,
  describe: 65540,
  batched: 65541,
  fill: 65542,
  pause: 65543,
} as const;

export const binding = loadNativeBinding();

/** A plugin that is built beside the addon. */
export function pluginPath(name: string): string {
  return join(dirname(nativeAddonPath()), `${name}.so`);
}

export const TEST_PLUGIN = pluginPath('axle_test_plugin');

export interface Completion {
  readonly taskId: number;
  readonly status: number;
  readonly batchSize: number;
  readonly consumedBytes: number;
  readonly streamMore: number;
  readonly computeNs: number;
  readonly outputs: readonly NativeOutput[];
  readonly message: string;
}

const pending = new Map<number, (completion: Completion) => void>();
/** Completions that nobody waited for: there must never be one. */
export const stray: Completion[] = [];

binding.onCompletions((count, numbers, payloads) => {
  for (let i = 0; i < count; i++) {
    const at = i * numbersPerCompletion;
    const number = (field: number) => numbers[at + field] as number;
    const payload = payloads[i] ?? '';
    const completion: Completion = {
      taskId: number(completionField.taskId),
      status: number(completionField.status),
      batchSize: number(completionField.batchSize),
      consumedBytes: number(completionField.consumedBytes),
      streamMore: number(completionField.streamMore),
      computeNs: number(completionField.computeNs),
      outputs: typeof payload === 'string' ? [] : payload,
      message: typeof payload === 'string' ? payload : '',
    };
    const settle = pending.get(completion.taskId);
    pending.delete(completion.taskId);
    if (settle === undefined) stray.push(completion);
    else settle(completion);
  }
});

export function completionOf(taskId: number): Promise<Completion> {
  return new Promise((resolve) => pending.set(taskId, resolve));
}

export interface TaskOptions {
  readonly opVersion?: number;
  readonly chain?: readonly [number, number];
  readonly modelId?: number;
  readonly argsId?: number;
  readonly outputBytesMax?: number;
  readonly deadlineMs?: number;
  readonly copiesInputs?: boolean;
  readonly into?: Uint8Array;
}

/** As `NativeBinding.stage`, with defaults. */
export function stage(op: number, inputs: readonly unknown[], options: TaskOptions = {}): number {
  const [first, last] = options.chain ?? [0, 0];
  return binding.stage(
    op,
    options.opVersion ?? 1,
    first,
    last,
    options.modelId ?? 0,
    options.argsId ?? 0,
    inputs,
    options.outputBytesMax ?? 1 << 20,
    options.deadlineMs ?? 0,
    options.copiesInputs,
    options.into,
  );
}

/** One task in one submit. */
export function call(
  queueId: number,
  op: number,
  inputs: readonly unknown[] = [],
  options: TaskOptions = {},
): Promise<Completion> {
  const taskId = stage(op, inputs, options);
  binding.submit(queueId);
  return completionOf(taskId);
}

/** The status and message of what `action` throws. */
export function thrownBy(action: () => unknown): { status: number; message: string } {
  try {
    action();
  } catch (error) {
    return error as { status: number; message: string };
  }
  throw new Error('nothing was thrown');
}

export async function rejectionOf(
  promise: Promise<unknown>,
): Promise<{ status: number; message: string }> {
  try {
    await promise;
  } catch (error) {
    return error as { status: number; message: string };
  }
  throw new Error('nothing was rejected');
}

export function textOf(completion: Completion): string {
  return new TextDecoder().decode(completion.outputs[0]?.data as Uint8Array);
}

/** Bytes of an output that came in one piece or several. */
export function bytesOf(output: NativeOutput | undefined): Uint8Array {
  const data = output?.data ?? [];
  return data instanceof Uint8Array ? data : Buffer.concat(data);
}

/** How many faults of plugins are counted while `action` runs. */
export async function faultsDuring(action: () => Promise<unknown>): Promise<number> {
  const before = binding.counters().pluginFaults;
  await action();
  return binding.counters().pluginFaults - before;
}

export function withArgs<T>(
  args: Parameters<NativeBinding['argsCreate']>[0],
  use: (argsId: number) => T,
): T {
  const argsId = binding.argsCreate(args);
  try {
    return use(argsId);
  } finally {
    binding.argsFree(argsId);
  }
}
