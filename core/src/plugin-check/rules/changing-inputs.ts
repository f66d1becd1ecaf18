import { ErrorCode, OpFlag } from '../../generated/constants.js';
import type { TaskCompletion } from '../host-connection.js';
import type { TaskInput } from '../plugin-under-test.js';
import { broken, type Rule } from '../rule.js';
import { isCustom, outputBytes, plain, type OpSample } from '../samples/sample.js';
import { checkCompletion, isRefusal, withSamples, type Trial } from '../trials.js';

/** How often a task runs while its inputs change, and for how long they do each time, milliseconds. */
const rounds = 8;
const changingMs = 20;

/** An input whose memory is this rule's to write to. */
interface OwnInput extends TaskInput {
  readonly data: Uint8Array;
}

function mayChange({ flags }: OpSample): boolean {
  return (flags & OpFlag.INPUTS_MAY_CHANGE) !== 0;
}

/** Large enough that the device is at it for a while, where inputs may be large. */
function inputsOf(sample: OpSample, seed: number): OwnInput[] {
  const size = isCustom(sample) ? 'large' : 'plain';
  return sample.vary({ ...plain, seed, size }).request.inputs.map(own);
}

function own(input: TaskInput): OwnInput {
  const { data } = input;
  return {
    ...input,
    data: new Uint8Array(data instanceof Uint8Array ? data : Buffer.concat(data)),
  };
}

function fill(inputs: readonly OwnInput[], from: readonly OwnInput[]): void {
  inputs.forEach(({ data }, i) => {
    data.set(from[i]?.data ?? []);
  });
}

/** Byte for byte of one or the other, in turns. */
function mixed(a: readonly OwnInput[], b: readonly OwnInput[]): OwnInput[] {
  return a.map((input, i) => {
    const other = b[i]?.data;
    return {
      ...input,
      data: input.data.map((byte, at) => (at % 2 === 0 ? byte : (other?.[at] ?? 0))),
    };
  });
}

/** What the outputs were when this was asked. */
function copiedOutputs(completion: TaskCompletion): Buffer[] {
  return completion.outputs.map(({ index }) => Buffer.from(outputBytes(completion, index)));
}

/** The first byte of an output that is of neither of two results. */
function strangeByte(
  found: readonly Buffer[],
  a: readonly Buffer[],
  b: readonly Buffer[],
): string | undefined {
  for (const [i, output] of found.entries()) {
    if (output.length !== a[i]?.length || output.length !== b[i]?.length)
      return `output ${i}'s size`;
    const at = output.findIndex((byte, place) => byte !== a[i]?.[place] && byte !== b[i]?.[place]);
    if (at >= 0) return `byte ${at} of output ${i}`;
  }
  return undefined;
}

/** The results of two inputs that stay as they are, where each byte of a result comes of the byte in its place. */
async function bytewise(
  { plugin, queue, sample }: Trial,
  a: readonly OwnInput[],
  b: readonly OwnInput[],
): Promise<readonly [Buffer[], Buffer[]] | undefined> {
  const results: Buffer[][] = [];
  for (const inputs of [a, b, mixed(a, b)]) {
    const completion = await plugin.run(queue, { ...sample.request, inputs });
    checkEnd(sample, completion);
    if (completion.status !== ErrorCode.OK) return undefined;
    results.push(copiedOutputs(completion));
  }
  const [ofA = [], ofB = [], ofMixed = []] = results;
  return strangeByte(ofMixed, ofA, ofB) === undefined ? [ofA, ofB] : undefined;
}

/** What an op makes of inputs that mean nothing is its own; that it ends in good order is not. */
function checkEnd(sample: OpSample, completion: TaskCompletion): void {
  if (isCustom(sample)) {
    checkCompletion(sample, completion);
    return;
  }
  const { status, message } = completion;
  if (status === ErrorCode.OK || isRefusal(completion)) return;
  broken(`${sample.label} on inputs that changed failed with status ${status}: ${message}`);
}

async function checkWhileChanging(
  trial: Trial,
  a: readonly OwnInput[],
  b: readonly OwnInput[],
): Promise<void> {
  const { plugin, queue, sample } = trial;
  const results = await bytewise(trial, a, b);
  for (let round = 0; round < rounds; round++) {
    const inputs = a.map(own);
    const running = plugin.run(queue, { ...sample.request, inputs });
    // The device is at it meanwhile, on threads of its own.
    for (const endAt = performance.now() + changingMs; performance.now() < endAt;) {
      fill(inputs, b);
      fill(inputs, a);
    }
    const completion = await running;
    checkEnd(sample, completion);
    if (results === undefined || completion.status !== ErrorCode.OK) continue;
    const strange = strangeByte(copiedOutputs(completion), ...results);
    if (strange === undefined) continue;
    broken(
      `${sample.label}: while its input changed from one content to another, ${strange} became what it is of neither; it has ` +
        'read the input more than once',
    );
  }
}

async function checkAfterwards(
  { plugin, queue, sample }: Trial,
  a: readonly OwnInput[],
  b: readonly OwnInput[],
): Promise<void> {
  const inputs = a.map(own);
  const completion = await plugin.run(queue, { ...sample.request, inputs });
  const before = copiedOutputs(completion);
  fill(inputs, b);
  // When these are done, whatever the device still did for the first one is, too.
  for (let i = 0; i < 2; i++) await plugin.run(queue, { ...sample.request, inputs: a });
  const changed = copiedOutputs(completion).findIndex(
    (output, i) => before[i]?.equals(output) !== true,
  );
  if (changed < 0) return;
  broken(`${sample.label}: output ${changed} changed after the task had ended, as its input did`);
}

/** What holds for inputs in memory that others may write to. */
export const changingInputRules: readonly Rule[] = [
  {
    id: 'changing-inputs',
    title:
      'reads inputs that change at any time once, and not after the task, where it says that they may',
    check: (subject) =>
      withSamples(
        subject,
        async (trial) => {
          const [a, b] = [inputsOf(trial.sample, 0), inputsOf(trial.sample, 1)];
          // First, while no task's memory was let go yet: a device that is late would end the process by it.
          await checkAfterwards(trial, a, b);
          await checkWhileChanging(trial, a, b);
        },
        { filter: mayChange, none: 'none of its ops is INPUTS_MAY_CHANGE' },
      ),
  },
];
