// One more user of a plugin, on a thread of its own. workerData: which plugin. Sends how it went, once.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';

import { messageOf } from '../errors.js';
import { RuleBroken, RuleSkipped, type CheckedPlugin } from './rule.js';
import { isExact, smaller } from './samples/sample.js';
import { allOf, checkCompletion, sameOutputs, withSamples, type Trial } from './trials.js';

/** Of each sample, and for how long at most beyond the least. */
const [roundsMin, roundsMax, roundsMs] = [2, 200, 200];
const tasksPerSubmit = 8;

/** What a user that is done says. */
export type ThreadReport =
  | { readonly end: 'kept' }
  | { readonly end: 'broken' | 'skipped' | 'failed'; readonly message: string };

async function useMuch({ plugin, queue, sample }: Trial): Promise<void> {
  const small = smaller(sample);
  const requests = new Array<typeof small.request>(tasksPerSubmit).fill(small.request);
  const first = await plugin.run(queue, small.request);
  const until = performance.now() + roundsMs;
  for (let round = 0; round < roundsMax; round++) {
    if (round >= roundsMin && performance.now() > until) return;
    for (const completion of await allOf(plugin.submit(queue, requests))) {
      checkCompletion(small, completion);
      if (!isExact(sample) || sameOutputs(first, completion)) continue;
      throw new RuleBroken(
        `${sample.label} gives another result than before while another thread uses it`,
      );
    }
  }
}

/** Uses each op on each device for a while. */
export async function usePlugin(subject: CheckedPlugin): Promise<ThreadReport> {
  try {
    await withSamples(subject, useMuch);
    return { end: 'kept' };
  } catch (error) {
    const message = messageOf(error);
    if (error instanceof RuleSkipped) return { end: 'skipped', message };
    return { end: error instanceof RuleBroken ? 'broken' : 'failed', message };
  }
}

if (!isMainThread) parentPort?.postMessage(await usePlugin(workerData as CheckedPlugin));
