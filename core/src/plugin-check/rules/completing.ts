import type { SubmittedTask } from '../plugin-under-test.js';
import { broken, type Rule } from '../rule.js';
import { smaller, type OpSample } from '../samples/sample.js';
import { allOf, checkCompletion, withPlugin, withSamples, type Trial } from '../trials.js';
import { inputOf, tryStreamSamples, type StreamTrial } from '../stream-trials.js';

/** Tasks of one submit, one submit after another. */
const submitSizes = [1, 2, 3, 16];
/**
 * A slot that the event loop calls and that takes longer waits for something, milliseconds. What counts is the least of
 * some calls, because other processes slow single ones down.
 */
const blockedMsMax = 10;
const measuredCalls = 8;
/** The first queue of an instance, each time of a new one. */
const measuredOpenings = 4;
/** Tasks that keep a device busy. */
const busyTasks = 32;

async function checkCompletes({ plugin, queue, sample }: Trial): Promise<void> {
  const small = smaller(sample);
  for (const count of submitSizes) {
    const requests = new Array<typeof small.request>(count).fill(small.request);
    for (const completion of await allOf(plugin.submit(queue, requests))) {
      checkCompletion(small, completion);
    }
  }
}

/** The least time of some calls. @param call gives the time that one of them took. */
async function leastMs(calls: number, call: () => Promise<number>): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < calls; i++) least = Math.min(least, await call());
  return least;
}

function checkMs(ms: number, slot: string, when: string): void {
  if (ms <= blockedMsMax) return;
  broken(
    `${slot} took ${ms.toFixed(1)} ms ${when}: it waits, and the caller's event loop with it; more than ${blockedMsMax} ms is too long`,
  );
}

async function checkQueues(trial: Trial): Promise<void> {
  const { plugin, device } = trial;
  const ms = await leastMs(measuredCalls, async () => {
    const startedAt = performance.now();
    const queue = plugin.openQueue(device);
    const took = performance.now() - startedAt;
    await plugin.closeQueue(queue);
    return took;
  });
  checkMs(ms, 'queue_open', 'at the least');
}

async function checkSubmits({ plugin, queue, sample }: Trial): Promise<void> {
  const small = smaller(sample);
  const requests = new Array<typeof small.request>(busyTasks).fill(small.request);
  const submitMs = async (before: OpSample['request'][]) => {
    const tasks = before.length === 0 ? [] : plugin.submit(queue, before);
    const startedAt = performance.now();
    tasks.push(...plugin.submit(queue, [small.request]));
    const took = performance.now() - startedAt;
    for (const completion of await allOf(tasks)) checkCompletion(small, completion);
    return took;
  };
  const cancelMs = async () => {
    const tasks = plugin.submit(queue, requests);
    // It waits the longest.
    const last = tasks[busyTasks - 1] as SubmittedTask;
    const startedAt = performance.now();
    plugin.cancel(last);
    const took = performance.now() - startedAt;
    await allOf(tasks);
    return took;
  };
  const { label } = sample;
  checkMs(await leastMs(measuredCalls, () => submitMs([])), 'submit', `for one task of ${label}`);
  const busy = await leastMs(measuredCalls, () => submitMs(requests));
  checkMs(busy, 'submit', `for one task of ${label}, behind ${busyTasks} others`);
  checkMs(await leastMs(measuredCalls, cancelMs), 'cancel', `for the last of ${busyTasks} tasks`);
}

async function checkStreams({ plugin, device, sample }: StreamTrial): Promise<void> {
  const bytes = inputOf(smaller(sample));
  let leastWriteMs = Infinity;
  const openMs = await leastMs(measuredCalls, async () => {
    const startedAt = performance.now();
    const stream = plugin.openStream(device, sample.request);
    const openedAt = performance.now();
    const written = stream.write(bytes, true);
    leastWriteMs = Math.min(leastWriteMs, performance.now() - openedAt);
    await written;
    await stream.close();
    return openedAt - startedAt;
  });
  checkMs(openMs, 'stream_open', `for ${sample.label}`);
  checkMs(leastWriteMs, 'stream_write', `for ${sample.label}`);
}

/** What a caller's event loop and its promises depend on. */
export const completingRules: readonly Rule[] = [
  {
    id: 'completes',
    title: `completes each task of a submit of ${submitSizes.join(', ')} tasks`,
    check: (subject) => withSamples(subject, checkCompletes),
  },
  {
    id: 'blocking',
    title: `returns from submit, cancel, queue_open, stream_open and stream_write within ${blockedMsMax} ms`,
    check: async (subject) => {
      const firstMs = await leastMs(measuredOpenings, () =>
        withPlugin(subject, async (plugin) => {
          const startedAt = performance.now();
          const queue = plugin.openQueue(0);
          const took = performance.now() - startedAt;
          await plugin.closeQueue(queue);
          return took;
        }),
      );
      checkMs(firstMs, 'queue_open', 'for the first queue after open');
      await withPlugin(subject, (plugin) => tryStreamSamples(plugin, checkStreams));
      await withSamples(subject, async (trial) => {
        await checkQueues(trial);
        await checkSubmits(trial);
      });
    },
  },
];
