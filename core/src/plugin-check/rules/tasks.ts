import { DataType, ErrorCode } from '../../generated/constants.js';
import { leftBehind } from '../left-behind.js';
import type { SubmittedTask, TaskInput } from '../plugin-under-test.js';
import { broken, RuleSkipped, skipped, type Rule, type Subject } from '../rule.js';
import { isCustom, isPure, outputBytes, plain, smaller, type OpSample } from '../samples/sample.js';
import {
  allOf,
  checkCompletion,
  hasMessage,
  refusalText,
  sameOutputs,
  withSamples,
  type Trial,
} from '../trials.js';

/** Tasks of one submit at most, as in plugin.h. */
const submitMax = 1024;
/** Tasks in line at once for the rule `cancel`, and for about how long they keep a device busy. */
const [cancelledMin, cancelledMax, busyMs] = [32, 512, 20];
const cancelRounds = 3;
const timedTasks = 5;
const repetitions = 8;
const leakTasksPerRound = 256;
const leakBytesPerTaskMax = 512;
/** Rounds of a window: as many as fit into its time, so that slow devices are looked at in minutes too. */
const [leakRoundsMin, leakRoundsMax, leakWindowMs] = [5, 20, 1000];
const passedDeadlineMs = 0.001;
/** Nothing that a rule submits takes as long. */
const farDeadlineMs = 3_600_000;

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

/** Inputs that no op can mean, or only one that takes anything. */
function wrongInputs(inputs: readonly TaskInput[]) {
  const name = inputs[0]?.name ?? null;
  const empty = (input: TaskInput) => ({ ...input, dims: [0], data: new Uint8Array() });
  const ones = new Array<number>(16).fill(1);
  const wrong: Readonly<Record<string, readonly TaskInput[]>> = {
    'no input': [],
    'one input too many': [...inputs, ...inputs, ...inputs],
    'an empty input': inputs.map(empty),
    'a scalar': [{ name, dtype: DataType.UINT64, dims: [], data: new Uint8Array(8) }],
    'rank 16': [{ name, dtype: DataType.UINT8, dims: ones, data: new Uint8Array(1) }],
  };
  return Object.entries(wrong);
}

async function checkWrongInputs({ plugin, queue, sample }: Trial): Promise<void> {
  const { request } = sample;
  for (const [what, inputs] of wrongInputs(request.inputs)) {
    // Two submits: tasks of one have equal shapes.
    const wrong = plugin.run(queue, { ...request, inputs });
    const neighbour = plugin.run(queue, request);
    const outcome = await wrong;
    if (outcome.status !== ErrorCode.OK && !hasMessage(outcome)) {
      broken(`${sample.label} refused ${what} with status ${outcome.status} and no message`);
    }
    checkCompletion(sample, await neighbour);
  }
}

async function checkLarge({ plugin, queue, sample }: Trial): Promise<void> {
  checkCompletion(sample, await plugin.run(queue, sample.request));
  const large = sample.vary({ ...plain, size: 'large' });
  const completion = await plugin.run(queue, large.request);
  const { status } = completion;
  if (status === ErrorCode.RESOURCE_EXHAUSTED && hasMessage(completion)) return;
  checkCompletion(large, completion);
}

async function checkCaps({ plugin, queue, sample }: Trial): Promise<void> {
  const { request, label } = sample;
  const free = await plugin.run(queue, request);
  const needed = free.outputs
    .map(({ index }) => outputBytes(free, index).length)
    .reduce((sum, bytes) => sum + bytes, 0);
  if (free.status !== ErrorCode.OK || needed < 2) return;
  for (const outputBytesMax of isPure(sample) ? [0, 1, needed - 1] : [0, 1]) {
    const capped = await plugin.run(queue, { ...request, outputBytesMax });
    if (capped.status === ErrorCode.RESOURCE_EXHAUSTED) continue;
    const { status, message } = capped;
    broken(
      `${label} with a cap of ${outputBytesMax} bytes ended with status ${status}: ${message}`,
    );
  }
  checkCompletion(sample, await plugin.run(queue, request));
}

async function checkDeadlines({ plugin, queue, sample }: Trial): Promise<void> {
  const { request } = sample;
  const late = { ...request, deadlineMs: passedDeadlineMs };
  const tasks = await allOf(plugin.submit(queue, [late, request, late, request]));
  for (const [i, completion] of tasks.entries()) {
    const mayBeLate = i % 2 === 0;
    if (mayBeLate && completion.status === ErrorCode.DEADLINE_EXCEEDED) continue;
    checkCompletion(sample, completion);
  }
  // Of another clock, or another unit, every deadline has passed.
  checkCompletion(sample, await plugin.run(queue, { ...request, deadlineMs: farDeadlineMs }));
}

async function checkCancels({ plugin, queue, sample }: Trial): Promise<void> {
  const small = smaller(sample);
  const { request } = small;
  let taskMs = Infinity;
  for (let i = 0; i < timedTasks; i++) {
    const startedAt = performance.now();
    checkCompletion(small, await plugin.run(queue, request));
    taskMs = Math.min(taskMs, performance.now() - startedAt);
  }
  const count = Math.min(Math.max(Math.ceil(busyMs / taskMs), cancelledMin), cancelledMax);
  const tasksOf = (cancelled: (i: number) => boolean) =>
    plugin.submit(
      queue,
      Array.from({ length: count }, (_, i) => ({ ...request, cancelled: cancelled(i) })),
    );
  const checkEnds = async (tasks: readonly SubmittedTask[], cancelled: (i: number) => boolean) => {
    for (const [i, completion] of (await allOf(tasks)).entries()) {
      const isCancelled = completion.status === ErrorCode.CANCELLED;
      if (isCancelled && !cancelled(i))
        broken(`${small.label} ended a task for the cancel of another`);
      if (!isCancelled) checkCompletion(small, completion);
    }
    for (const task of tasks) plugin.cancel(task);
  };
  const [none, all, everySecond] = [() => false, () => true, (i: number) => i % 2 === 0];
  // The plugin sees these as cancelled whenever it first looks, so what it does then does not depend on the time.
  await checkEnds(tasksOf(everySecond), everySecond);
  for (let round = 0; round < cancelRounds; round++) {
    for (const cancelled of [all, everySecond]) {
      const tasks = tasksOf(none);
      // The last ones wait the longest.
      for (let i = count - 1; i >= 0; i--) {
        if (cancelled(i)) plugin.cancel(tasks[i] as SubmittedTask);
      }
      await checkEnds(tasks, cancelled);
    }
  }
  checkCompletion(small, await plugin.run(queue, request));
}

/** An op of the plugin's own may refuse what was made up for it; but then nothing shows that it works. */
async function checkRuns(subject: Subject): Promise<void> {
  const ran = new Set<string>();
  const refused = new Map<string, string>();
  let needsNoModel = false;
  const all = {
    filter: ({ model }: OpSample) => {
      needsNoModel ||= model === undefined;
      return true;
    },
    none: 'it offers no op',
  };
  const work = async ({ plugin, queue, sample }: Trial) => {
    const completion = await plugin.run(queue, sample.request);
    checkCompletion(sample, completion);
    if (completion.status === ErrorCode.OK) ran.add(sample.label);
    else refused.set(sample.label, refusalText(sample, completion.message));
  };
  await withSamples(subject, work, all).catch((error: unknown) => {
    if (!(error instanceof RuleSkipped)) throw error;
    // What was refused is told below.
    if (refused.size > 0) return;
    // Models may be of a format that is not tried here; all else it has to take somewhere.
    if (needsNoModel) broken(`no task gave a result: ${error.message}`);
    throw error;
  });
  const reasons = [...refused].filter(([label]) => !ran.has(label)).map(([, text]) => text);
  if (reasons.length === 0) return;
  if (ran.size === 0) broken(`no task gave a result: ${reasons.join('; ')}`);
  skipped(`not every op gave a result: ${reasons.join('; ')}`);
}

/** What holds for each task. */
export const taskRules: readonly Rule[] = [
  {
    id: 'runs',
    title: 'runs each op, and gives what the op means',
    check: checkRuns,
  },
  {
    id: 'scatter',
    title: 'takes an input in any number of pieces, empty ones and unaligned ones too',
    check: (subject) =>
      withSamples(subject, async ({ plugin, queue, sample }) => {
        const { request } = sample;
        const whole = await plugin.run(queue, request);
        const inputs = request.inputs.map(scattered);
        const pieces = await plugin.run(queue, { ...request, inputs });
        if (isPure(sample) && !sameOutputs(whole, pieces)) {
          broken(`${sample.label} gives something else when its input lies in pieces`);
        }
        checkCompletion(sample, pieces);
      }),
  },
  {
    id: 'large',
    title: 'runs an op of its own on some MiB too, or says why not',
    check: (subject) =>
      withSamples(subject, checkLarge, {
        filter: isCustom,
        none: 'it offers no op of its own',
      }),
  },
  {
    id: 'inputs-unchanged',
    title: 'leaves its inputs, what describes them and its arguments as they are',
    check: (subject) =>
      withSamples(subject, async ({ plugin, queue, sample }) => {
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
    check: (subject) => withSamples(subject, checkWrongInputs),
  },
  {
    id: 'output-cap',
    title: 'ends a task whose output may not be that large with RESOURCE_EXHAUSTED',
    check: (subject) => withSamples(subject, checkCaps),
  },
  {
    id: 'many',
    title: `completes each of ${submitMax} tasks of one submit exactly once`,
    check: (subject) =>
      withSamples(subject, async ({ plugin, queue, sample }) => {
        const small = smaller(sample);
        const requests = new Array<typeof small.request>(submitMax).fill(small.request);
        for (const completion of await allOf(plugin.submit(queue, requests))) {
          checkCompletion(small, completion);
        }
      }),
  },
  {
    id: 'cancel',
    title:
      'completes a cancelled task once, whenever the cancel comes, and others with their results',
    check: (subject) => withSamples(subject, checkCancels),
  },
  {
    id: 'deadline',
    title:
      'completes a task whose deadline has passed, with its result or DEADLINE_EXCEEDED, and no other so',
    check: (subject) => withSamples(subject, checkDeadlines),
  },
  {
    id: 'same-again',
    title: 'gives the same output for the same input where it says that an op is PURE',
    check: (subject) =>
      withSamples(
        subject,
        async ({ plugin, queue, sample }) => {
          const { request } = sample;
          const runs = plugin.submit(queue, new Array<typeof request>(repetitions).fill(request));
          const [first, ...others] = await allOf(runs);
          if (first === undefined || others.every((other) => sameOutputs(first, other))) return;
          broken(`${sample.label} gave two outputs for one input`);
        },
        { filter: isPure, none: 'none of its ops is PURE' },
      ),
  },
  {
    id: 'leaks',
    title: 'holds no more memory, descriptors and threads after many tasks than after a few',
    check: (subject) =>
      withSamples(subject, async ({ plugin, queue, sample }) => {
        const { request } = smaller(sample);
        const requests = new Array<typeof request>(leakTasksPerRound).fill(request);
        const work = () => allOf(plugin.submit(queue, requests));
        const startedAt = performance.now();
        await work();
        const fitting = Math.floor(leakWindowMs / (performance.now() - startedAt));
        const rounds = Math.min(Math.max(fitting, leakRoundsMin), leakRoundsMax);
        // What a window may leave is the same for few rounds: memory comes and goes by more than they could leak.
        const windowBytesMax = leakRoundsMax * leakTasksPerRound * leakBytesPerTaskMax;
        const left = await leftBehind({
          work,
          what: 'tasks',
          perRound: leakTasksPerRound,
          roundsPerWindow: rounds,
          bytesPerRoundMax: windowBytesMax / rounds,
        });
        if (left !== undefined) broken(`${sample.label}: ${left}`);
      }),
  },
];
