import { ErrorCode } from '../../generated/constants.js';
import { broken, type Rule } from '../rule.js';
import { leftBehind } from '../left-behind.js';
import type { TaskInput, TaskRequest } from '../plugin-under-test.js';
import { isBatchable, isCustom, isPure, plain, smaller, type OpSample } from '../samples/sample.js';
import { oddInput, oddRounds } from '../samples/odd-values.js';
import {
  allOf,
  checkCompletion,
  hasMessage,
  sameOutputs,
  withSamples,
  type Trial,
} from '../trials.js';

/** Tasks of one submit that have as little as all the others. */
const smallTasks = 3;
const passedDeadlineMs = 0.001;
/** Rounds of failing tasks, of as many tasks each as there are ways to fail. */
const failuresPerRound = 64;
const leakBytesPerTaskMax = 512;
/** Behind inputs. */
const followingBytes = 4096;
const fillers = [0x00, 0x5a];

/** The first elements of a tensor whose sizes are at most `most`; what is in them is taken from its start. */
function shrunk(input: TaskInput, most: number): TaskInput {
  const whole = input.data instanceof Uint8Array ? input.data : Buffer.concat(input.data);
  const dims = input.dims.map((size) => Math.min(size, most));
  const elements = (sizes: readonly number[]) => sizes.reduce((product, size) => product * size, 1);
  const before = elements(input.dims);
  const bytes = before === 0 ? 0 : (whole.length / before) * elements(dims);
  return { ...input, dims, data: new Uint8Array(whole.subarray(0, bytes)) };
}

/** What an op of this version makes of that little is its own; that it says so is not. */
async function checkSmall({ plugin, queue, sample }: Trial): Promise<void> {
  for (const [size, most] of [
    ['none', 0],
    ['one', 1],
  ] as const) {
    const varied = isCustom(sample) ? sample.vary({ ...plain, size }) : sample;
    const request = isCustom(sample)
      ? varied.request
      : { ...sample.request, inputs: sample.request.inputs.map((input) => shrunk(input, most)) };
    const count = isBatchable(sample) ? smallTasks : 1;
    const requests = new Array<TaskRequest>(count).fill(request);
    const ends = [
      await plugin.run(queue, request),
      ...(await allOf(plugin.submit(queue, requests))),
    ];
    for (const completion of ends) {
      if (isCustom(sample)) {
        checkCompletion(varied, completion);
      } else if (completion.status !== ErrorCode.OK && !hasMessage(completion)) {
        broken(`${sample.label} refused inputs of size ${most} with no message`);
      }
    }
  }
  checkCompletion(sample, await plugin.run(queue, sample.request));
}

async function checkArguments({ plugin, queue, sample }: Trial): Promise<void> {
  const small = smaller(sample);
  const before = await plugin.run(queue, small.request);
  for (const args of sample.otherArgs ?? []) {
    checkCompletion(sample, await plugin.run(queue, { ...small.request, args }));
    const after = await plugin.run(queue, small.request);
    if (!isPure(sample) || sameOutputs(before, after)) continue;
    broken(`${sample.label} gives something else after a task that had other arguments`);
  }
  checkCompletion(sample, await plugin.run(queue, sample.request));
}

/** Values that the type has, and few ops mean. What they make of them is their own. */
async function checkOddValues({ plugin, queue, sample }: Trial): Promise<void> {
  const { request } = sample;
  const before = await plugin.run(queue, request);
  for (const round of oddRounds) {
    const odd = request.inputs.map((input) => oddInput(input, round));
    // Each by itself too: one of them alone may be an index into another.
    const lists = odd.map((one, i) => request.inputs.map((input, j) => (i === j ? one : input)));
    for (const inputs of lists.length > 1 ? [odd, ...lists] : lists) {
      checkCompletion(sample, await plugin.run(queue, { ...request, inputs }));
    }
  }
  const after = await plugin.run(queue, request);
  if (isPure(sample) && !sameOutputs(before, after)) {
    broken(`${sample.label} gives something else after a task with odd values`);
  }
}

/**
 * An input in memory that goes on behind its end, with bytes of `filler`.
 *
 * @param elements how many of a first dimension it has
 */
function followedBy(input: TaskInput, elements: number | undefined, filler: number): TaskInput {
  const whole = input.data instanceof Uint8Array ? input.data : Buffer.concat(input.data);
  const [first = 0, ...others] = input.dims;
  const kept = elements ?? first;
  const bytes = first === 0 ? whole.length : (whole.length / first) * kept;
  const memory = new Uint8Array(whole.length + followingBytes).fill(filler);
  memory.set(whole.subarray(0, bytes));
  const dims = input.dims.length === 0 ? input.dims : [kept, ...others];
  return { ...input, dims, data: memory.subarray(0, bytes) };
}

/** What lies behind an input is no part of it, of one that is shorter than another least of all. */
async function checkInputEnds({ plugin, queue, sample }: Trial): Promise<void> {
  const { request, label } = sample;
  const check = async (what: string, changed: number, elements: number | undefined) => {
    const [one, other] = await Promise.all(
      fillers.map((filler) => {
        const inputs = request.inputs.map((input, i) =>
          followedBy(input, i === changed ? elements : undefined, filler),
        );
        return plugin.run(queue, { ...request, inputs });
      }),
    );
    if (one === undefined || other === undefined || sameOutputs(one, other)) return;
    broken(`${label} gives something else when other bytes lie behind its ${what}: it reads them`);
  };
  await check('inputs', -1, undefined);
  if (!isCustom(sample) || request.inputs.length < 2) return;
  for (const [i, { dims }] of request.inputs.entries()) {
    const [first = 0] = dims;
    // Where that size is told, it must not be another; most of what is left open is the same for all inputs.
    if (first >= 2) await check(`input ${i}, which is shorter than described`, i, first >> 1);
  }
}

/** Tasks that end with an error each, for another reason, of an op that does what it must. */
function failing({ request }: OpSample): TaskRequest[] {
  const [input, ...others] = request.inputs;
  const wrong = input === undefined ? [] : [{ ...input, dims: [...input.dims, 1] }, ...others];
  return [
    { ...request, inputs: [] },
    { ...request, inputs: wrong },
    { ...request, outputBytesMax: 0 },
    { ...request, deadlineMs: passedDeadlineMs },
    { ...request, cancelled: true },
  ];
}

async function checkFailingLeaks({ plugin, queue, sample }: Trial): Promise<void> {
  const small = smaller(sample);
  const requests = failing(small);
  const work = async () => {
    checkCompletion(small, await plugin.run(queue, small.request));
    for (const request of requests) {
      // Tasks of one submit have equal shapes.
      const tasks = new Array<TaskRequest>(failuresPerRound).fill(request);
      await allOf(plugin.submit(queue, tasks));
    }
  };
  const perRound = requests.length * failuresPerRound;
  const left = await leftBehind({
    work,
    what: 'tasks that failed, were late or were cancelled',
    perRound,
    bytesPerRoundMax: perRound * leakBytesPerTaskMax,
  });
  if (left !== undefined) broken(`${sample.label}: ${left}`);
}

/** What holds for contents and arguments that are rare. */
export const contentRules: readonly Rule[] = [
  {
    id: 'small-inputs',
    title: 'takes inputs with no element and with one, or says why not',
    check: (subject) => withSamples(subject, checkSmall),
  },
  {
    id: 'arguments',
    title: 'takes each argument that an op of its own describes, or says why not',
    check: (subject) =>
      withSamples(subject, checkArguments, {
        filter: ({ otherArgs = [] }) => otherArgs.length > 0,
        none: 'none of its ops describes an argument',
      }),
  },
  {
    id: 'odd-values',
    title: 'takes any values of the types that an op of its own describes, or says why not',
    check: (subject) =>
      withSamples(subject, checkOddValues, {
        filter: isCustom,
        none: 'it offers no op of its own',
      }),
  },
  {
    id: 'input-ends',
    title: 'reads nothing behind the end of an input, where an op is PURE',
    check: (subject) =>
      withSamples(subject, checkInputEnds, { filter: isPure, none: 'none of its ops is PURE' }),
  },
  {
    id: 'error-leaks',
    title: 'holds no more memory, descriptors and threads after many tasks that failed',
    check: (subject) => withSamples(subject, checkFailingLeaks),
  },
];
