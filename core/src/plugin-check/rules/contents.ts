import { broken, type Rule } from '../rule.js';
import { ErrorCode } from '../../generated/constants.js';
import { leftBehind } from '../left-behind.js';
import type { TaskInput, TaskRequest } from '../plugin-under-test.js';
import { isBatchable, isCustom, plain, smaller, type OpSample } from '../samples/sample.js';
import { allOf, checkCompletion, hasMessage, withSamples, type Trial } from '../trials.js';

/** Tasks of one submit that have as little as all the others. */
const smallTasks = 3;
const passedDeadlineMs = 0.001;
/** Rounds of failing tasks, of as many tasks each as there are ways to fail. */
const failuresPerRound = 64;
const leakBytesPerTaskMax = 512;

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
  const { request } = smaller(sample);
  for (const args of sample.otherArgs ?? []) {
    checkCompletion(sample, await plugin.run(queue, { ...request, args }));
  }
  checkCompletion(sample, await plugin.run(queue, sample.request));
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
    id: 'error-leaks',
    title: 'holds no more memory, descriptors and threads after many tasks that failed',
    check: (subject) => withSamples(subject, checkFailingLeaks),
  },
];
