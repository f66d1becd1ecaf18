import { readdirSync } from 'node:fs';

import { ErrorCode, HealthState } from '../generated/constants.js';
import { isPure, outputBytes, samplesOf, type OpSample } from './op-samples.js';
import {
  PluginUnderTest,
  type SubmittedTask,
  type TaskCompletion,
  type TaskInput,
} from './plugin-under-test.js';

/** Which plugin a rule is held against. */
export interface Subject {
  readonly path: string;
  readonly options: Readonly<Record<string, string>>;
}

/** One thing that plugin.h asks for. `check` throws RuleBroken, or RuleSkipped when it does not apply. */
export interface Rule {
  readonly id: string;
  /** What a sound plugin does, in one line. */
  readonly title: string;
  readonly check: (subject: Subject) => Promise<void>;
}

export class RuleBroken extends Error {}

export class RuleSkipped extends Error {}

/** Tasks of one submit at most, as in plugin.h. */
const submitMax = 1024;
const reopenings = 20;
/** In the search for leaks: windows of rounds of tasks, and what each window may leave behind. */
const leakWindows = 3;
const leakRounds = 20;
const leakTasksPerRound = 256;
const leakBytesMax = 16 * 1024 * 1024;

function broken(message: string): never {
  throw new RuleBroken(message);
}

async function withPlugin<T>(
  { path, options }: Subject,
  work: (plugin: PluginUnderTest) => Promise<T>,
): Promise<T> {
  const plugin = await PluginUnderTest.open(path, options);
  try {
    return await work(plugin);
  } finally {
    await plugin.close();
  }
}

/** Runs `work` with every sample of every op, on every device that takes it, with a queue that is closed afterwards. */
async function withSamples(
  subject: Subject,
  work: (plugin: PluginUnderTest, queue: number, sample: OpSample) => Promise<void>,
): Promise<void> {
  await withPlugin(subject, async (plugin) => {
    const samples = plugin.info.ops.flatMap(samplesOf);
    if (samples.length === 0) {
      throw new RuleSkipped('it offers no op that can be tried without a model of its own');
    }
    for (const device of plugin.info.devices.keys()) {
      const queue = plugin.openQueue(device);
      try {
        for (const sample of samples) {
          const { op, version } = sample.request;
          if (plugin.supports(device, op, version) > 0) await work(plugin, queue, sample);
        }
      } finally {
        await plugin.closeQueue(queue);
      }
    }
  });
}

/** What the plugin host says for a plugin that says nothing. */
const noMessage = /^plugin '.*' ended the task with \w+ and no message$/;

const refusals: ReadonlySet<number> = new Set([
  ErrorCode.INVALID_ARGUMENT,
  ErrorCode.FAILED_PRECONDITION,
  ErrorCode.OUT_OF_RANGE,
  ErrorCode.UNIMPLEMENTED,
  ErrorCode.NOT_FOUND,
  ErrorCode.DATA_LOSS,
]);

/** Status and outputs of a task that was well-formed. */
function checkCompletion(sample: OpSample, completion: TaskCompletion): void {
  const { status, message } = completion;
  if (status === ErrorCode.OK) {
    const problem = sample.problemOf?.(completion);
    if (problem !== undefined) broken(`${sample.label}: ${problem}`);
    return;
  }
  if (sample.mayRefuse && refusals.has(status) && !noMessage.test(message)) return;
  broken(`${sample.label} failed with status ${status}: ${message}`);
}

function sameOutputs(a: TaskCompletion, b: TaskCompletion): boolean {
  return (
    a.status === b.status &&
    a.outputs.length === b.outputs.length &&
    a.outputs.every(
      (output, i) =>
        output.dtype === b.outputs[i]?.dtype &&
        String(output.dims) === String(b.outputs[i].dims) &&
        outputBytes(a, output.index).equals(outputBytes(b, output.index)),
    )
  );
}

/** The same bytes in many odd pieces, the first of them not aligned to anything. */
function scattered(input: TaskInput): TaskInput {
  const whole = input.data instanceof Uint8Array ? input.data : Buffer.concat(input.data);
  const shifted = new Uint8Array(whole.length + 1);
  shifted.set(whole, 1);
  const pieces: Uint8Array[] = [];
  for (let at = 1, bytes = 1; at < shifted.length; at += bytes, bytes = (bytes * 7) % 1021) {
    pieces.push(shifted.subarray(at, at + bytes), shifted.subarray(at, at));
  }
  return { ...input, data: pieces };
}

async function allOf(tasks: readonly SubmittedTask[]): Promise<TaskCompletion[]> {
  return Promise.all(tasks.map(({ completion }) => completion));
}

function threadCount(): number {
  return readdirSync('/proc/self/task').length;
}

export const rules: readonly Rule[] = [
  {
    id: 'loads',
    title:
      'loads, speaks this ABI, fills the slots that it must, and describes itself within the limits',
    check: (subject) => withPlugin(subject, () => Promise.resolve()),
  },
  {
    id: 'unknown-option',
    title: 'refuses an option that it does not know with INVALID_ARGUMENT',
    check: async ({ path, options }) => {
      const odd = { ...options, 'axle.check.no-such-option': '1' };
      const outcome = await PluginUnderTest.open(path, odd).catch((error: unknown) => error);
      if (outcome instanceof PluginUnderTest) {
        await outcome.close();
        broken('it opened with the option axle.check.no-such-option=1');
      }
      const { status } = outcome as { status?: number };
      if (status !== ErrorCode.INVALID_ARGUMENT) broken(`open answered status ${String(status)}`);
    },
  },
  {
    id: 'reopens',
    title: 'can be closed and opened again, and leaves no thread behind',
    check: async (subject) => {
      await withPlugin(subject, () => Promise.resolve());
      const before = threadCount();
      for (let i = 0; i < reopenings; i++) await withPlugin(subject, () => Promise.resolve());
      const left = threadCount() - before;
      if (left > reopenings / 2)
        broken(`${reopenings} times opened and closed left ${left} threads`);
    },
  },
  {
    id: 'health',
    title: 'reports health and statistics that are in range',
    check: (subject) =>
      withPlugin(subject, async (plugin) => {
        for (const device of plugin.info.devices.keys()) {
          const { state, message } = await plugin.health(device);
          if (!Object.values<number>(HealthState).includes(state)) {
            broken(`device ${device} has the health ${state}`);
          }
          if (state !== HealthState.OK && message === '') {
            broken(`device ${device} is not OK and does not say why`);
          }
          await plugin.statistics(device);
        }
      }),
  },
  {
    id: 'queues',
    title: 'opens and closes many queues at once',
    check: (subject) =>
      withPlugin(subject, async (plugin) => {
        for (const device of plugin.info.devices.keys()) {
          const queues = Array.from({ length: 64 }, () => plugin.openQueue(device));
          await Promise.all(queues.map((queue) => plugin.closeQueue(queue)));
        }
      }),
  },
  {
    id: 'runs',
    title: 'runs each op, and gives what the op means',
    check: (subject) =>
      withSamples(subject, async (plugin, queue, sample) => {
        checkCompletion(sample, await plugin.run(queue, sample.request));
      }),
  },
  {
    id: 'scatter',
    title: 'takes an input in any number of pieces, empty ones and unaligned ones too',
    check: (subject) =>
      withSamples(subject, async (plugin, queue, sample) => {
        const { request } = sample;
        const whole = await plugin.run(queue, request);
        const inputs = request.inputs.map(scattered);
        const pieces = await plugin.run(queue, { ...request, inputs });
        checkCompletion(sample, pieces);
        if (isPure(sample) && !sameOutputs(whole, pieces)) {
          broken(`${sample.label} gives something else when its input lies in pieces`);
        }
      }),
  },
  {
    id: 'inputs-unchanged',
    title: 'leaves its inputs as they are',
    check: (subject) =>
      withSamples(subject, async (plugin, queue, sample) => {
        const own = (data: TaskInput['data']) =>
          new Uint8Array(data instanceof Uint8Array ? data : Buffer.concat(data));
        const inputs = sample.request.inputs.map((input) => ({ ...input, data: own(input.data) }));
        const before = inputs.map(({ data }) => Buffer.from(data));
        await plugin.run(queue, { ...sample.request, inputs });
        const changed = inputs.findIndex(({ data }, i) => before[i]?.equals(data) !== true);
        if (changed >= 0) broken(`${sample.label} wrote to its input ${changed}`);
      }),
  },
  {
    id: 'bad-input',
    title: 'refuses inputs that are wrong, with a message, and harms no other task',
    check: (subject) =>
      withSamples(subject, async (plugin, queue, sample) => {
        const { request } = sample;
        const [first] = request.inputs;
        const wrong: readonly (readonly [string, readonly TaskInput[]])[] = [
          ['no input', []],
          ['one input too many', [...request.inputs, ...request.inputs, ...request.inputs]],
          [
            'an empty input',
            request.inputs.map((input) => ({ ...input, dims: [0], data: new Uint8Array() })),
          ],
          [
            'a scalar',
            [{ name: first?.name ?? null, dtype: 5, dims: [], data: new Uint8Array(8) }],
          ],
          [
            'rank 16',
            [
              {
                name: first?.name ?? null,
                dtype: 2,
                dims: new Array<number>(16).fill(1),
                data: new Uint8Array(1),
              },
            ],
          ],
        ];
        for (const [what, inputs] of wrong) {
          // Two submits: tasks of one have equal shapes.
          const [bad] = plugin.submit(queue, [{ ...request, inputs }]);
          const [good] = plugin.submit(queue, [request]);
          const outcome = await bad?.completion;
          if (
            outcome !== undefined &&
            outcome.status !== ErrorCode.OK &&
            noMessage.test(outcome.message)
          ) {
            broken(`${sample.label} refused ${what} with status ${outcome.status} and no message`);
          }
          const neighbour = await good?.completion;
          if (neighbour !== undefined) checkCompletion(sample, neighbour);
        }
      }),
  },
  {
    id: 'output-cap',
    title: 'ends a task whose output may not be that large with RESOURCE_EXHAUSTED',
    check: (subject) =>
      withSamples(subject, async (plugin, queue, sample) => {
        const free = await plugin.run(queue, sample.request);
        const needed = free.outputs.some((output) => outputBytes(free, output.index).length > 1);
        const capped = await plugin.run(queue, { ...sample.request, outputBytesMax: 1 });
        if (free.status !== ErrorCode.OK || !needed) return;
        if (capped.status === ErrorCode.RESOURCE_EXHAUSTED) return;
        broken(
          `${sample.label} with a cap of 1 byte ended with status ${capped.status}: ${capped.message}`,
        );
      }),
  },
  {
    id: 'many',
    title: `completes each of ${submitMax} tasks of one submit exactly once`,
    check: (subject) =>
      withSamples(subject, async (plugin, queue, sample) => {
        const small = smaller(sample);
        const requests = new Array<typeof small.request>(submitMax).fill(small.request);
        for (const completion of await allOf(plugin.submit(queue, requests))) {
          checkCompletion(small, completion);
        }
      }),
  },
  {
    id: 'cancel',
    title: 'completes a cancelled task once, whenever the cancel comes',
    check: (subject) =>
      withSamples(subject, async (plugin, queue, sample) => {
        const small = smaller(sample);
        const requests = new Array<typeof small.request>(64).fill(small.request);
        const tasks = plugin.submit(queue, requests);
        for (const task of tasks) plugin.cancel(task);
        for (const completion of await allOf(tasks)) {
          if (completion.status !== ErrorCode.CANCELLED) checkCompletion(small, completion);
        }
        for (const task of tasks) plugin.cancel(task);
        checkCompletion(small, await plugin.run(queue, small.request));
      }),
  },
  {
    id: 'deadline',
    title: 'completes a task whose deadline has passed, with its result or DEADLINE_EXCEEDED',
    check: (subject) =>
      withSamples(subject, async (plugin, queue, sample) => {
        const late = await plugin.run(queue, { ...sample.request, deadlineMs: 0.001 });
        if (late.status !== ErrorCode.DEADLINE_EXCEEDED) checkCompletion(sample, late);
      }),
  },
  {
    id: 'same-again',
    title: 'gives the same output for the same input where it says that an op is PURE',
    check: (subject) =>
      withSamples(subject, async (plugin, queue, sample) => {
        if (!isPure(sample)) return;
        const runs = plugin.submit(queue, new Array<typeof sample.request>(8).fill(sample.request));
        const [first, ...others] = await allOf(runs);
        if (first === undefined || others.every((other) => sameOutputs(first, other))) return;
        broken(`${sample.label} gave two outputs for one input`);
      }),
  },
  {
    id: 'leaks',
    title: 'holds no more memory after many tasks than after a few',
    check: (subject) =>
      withSamples(subject, async (plugin, queue, sample) => {
        const small = smaller(sample);
        const requests = new Array<typeof small.request>(leakTasksPerRound).fill(small.request);
        const round = async () => void (await allOf(plugin.submit(queue, requests)));
        const window = async () => {
          for (let i = 0; i < leakRounds; i++) await round();
          return nativeBytes();
        };
        // Caches and pools fill up in the first; only what grows in every one after it is lost.
        let before = await window();
        let least = Infinity;
        for (let i = 0; i < leakWindows; i++) {
          const after = await window();
          least = Math.min(least, after - before);
          before = after;
        }
        if (least > leakBytesMax) {
          const tasks = leakRounds * leakTasksPerRound;
          broken(
            `${sample.label}: every ${tasks} tasks leave ${Math.round(least / 1e6)} MB behind`,
          );
        }
      }),
  },
];

/** The same op on the least input, for many tasks at once. */
function smaller(sample: OpSample): OpSample {
  if (!sample.label.startsWith('compress')) return sample;
  const data = Buffer.alloc(2000, 'the same again ');
  const inputs = sample.request.inputs.map((input) => ({ ...input, dims: [data.length], data }));
  return { ...sample, request: { ...sample.request, inputs }, problemOf: () => undefined };
}

/** Resident memory that is not JavaScript's. */
function nativeBytes(): number {
  globalThis.gc?.();
  const { rss, heapTotal, external } = process.memoryUsage();
  return rss - heapTotal - external;
}
