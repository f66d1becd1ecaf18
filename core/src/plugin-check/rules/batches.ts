import { ErrorCode } from '../../generated/constants.js';
import type { TaskCompletion } from '../host-connection.js';
import { broken, type Rule } from '../rule.js';
import { isBatchable, isPure, outputBytes, plain, type OpSample } from '../samples/sample.js';
import { allOf, checkCompletion, sameOutputs, withSamples, type Trial } from '../trials.js';

const batchTasks = 16;
const passedDeadlineMs = 0.001;

const batchable = { filter: isBatchable, none: 'none of its ops is BATCHABLE' };

/** Contents that differ, of equal shapes. */
function variantsOf(sample: OpSample): OpSample[] {
  return Array.from({ length: batchTasks }, (_, seed) => sample.vary({ ...plain, seed }));
}

function checkBatchSize({ label, batchMax }: OpSample, { batchSize }: TaskCompletion): void {
  const most = batchMax === 0 ? batchTasks : Math.min(batchMax, batchTasks);
  if (batchSize < 1 || batchSize > most) {
    broken(`${label} says that ${batchSize} of ${batchTasks} tasks were computed together`);
  }
}

async function checkOwnResults({ plugin, queue, sample }: Trial): Promise<void> {
  const variants = variantsOf(sample);
  const together = await allOf(
    plugin.submit(
      queue,
      variants.map(({ request }) => request),
    ),
  );
  for (const [i, variant] of variants.entries()) {
    const completion = together[i];
    if (completion === undefined) continue;
    checkCompletion(variant, completion);
    checkBatchSize(sample, completion);
    // Of a custom op only the form of a result is known; batched floating point may round differently.
    if (!sample.mayRefuse || !isPure(sample)) continue;
    const alone = await plugin.run(queue, variant.request);
    if (!sameOutputs(alone, completion)) {
      broken(`${sample.label}: task ${i} of a batch has another result than alone`);
    }
  }
}

/** One task of the batch may not give that much, one is late, one is cancelled; the rest is as ever. */
async function checkNeighbours({ plugin, queue, sample }: Trial): Promise<void> {
  const variants = variantsOf(sample);
  const [capped, late, cancelled] = [1, 2, 3];
  const tasks = plugin.submit(
    queue,
    variants.map(({ request }, i) => ({
      ...request,
      cancelled: i === cancelled,
      ...(i === capped ? { outputBytesMax: 0 } : {}),
      ...(i === late ? { deadlineMs: passedDeadlineMs } : {}),
    })),
  );
  const mayEndWith = new Map<number, number>([
    [capped, ErrorCode.RESOURCE_EXHAUSTED],
    [late, ErrorCode.DEADLINE_EXCEEDED],
    [cancelled, ErrorCode.CANCELLED],
  ]);
  for (const [i, completion] of (await allOf(tasks)).entries()) {
    const variant = variants[i] ?? sample;
    if (completion.status === mayEndWith.get(i)) continue;
    if (i === capped && outputBytes(completion, 0).length > 0) {
      broken(`${sample.label}: a task of a batch gave more than it may`);
    }
    checkCompletion(variant, completion);
  }
}

/** What holds for tasks that are computed together. */
export const batchRules: readonly Rule[] = [
  {
    id: 'batch',
    title: 'gives each task of a batch its own result, where an op is BATCHABLE',
    check: (subject) => withSamples(subject, checkOwnResults, batchable),
  },
  {
    id: 'batch-neighbours',
    title: 'lets a task that is late, cancelled or over its cap harm no other task of its batch',
    check: (subject) => withSamples(subject, checkNeighbours, batchable),
  },
];
