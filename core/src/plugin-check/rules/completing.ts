import { heldBy, type HeldMs } from '../held-thread.js';
import type { SubmittedTask } from '../plugin-under-test.js';
import { broken, type Rule, type Subject } from '../rule.js';
import { smaller } from '../samples/sample.js';
import { inputOf, tryStreamSamples, type StreamTrial } from '../stream-trials.js';
import type { StreamUnderTest } from '../stream-under-test.js';
import { allOf, checkCompletion, withPlugin, withSamples, type Trial } from '../trials.js';

/** Tasks of one submit, one submit after another. */
const submitSizes = [1, 2, 3, 16];
/** For how long a slot that event loops call may hold them, milliseconds: the least of some calls counts. */
const blockedMsMax = 10;
/** The same for the first of those calls, where something is set up: a single call may meet with a page that is on disk. */
const firstBlockedMsMax = 50;
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

interface HeldTimes {
  readonly first: number;
  readonly least: number;
}

/** @param call says for how long it held the thread. */
async function heldTimes(calls: number, call: () => Promise<HeldMs>): Promise<HeldTimes> {
  const first = await call();
  let least = first.atMost;
  for (let i = 1; i < calls; i++) least = Math.min(least, (await call()).atMost);
  return { first: first.atLeast, least };
}

function checkLeast(slot: string, what: string, { least }: HeldTimes): void {
  if (least <= blockedMsMax) return;
  broken(
    `${slot} took ${least.toFixed(1)} ms ${what}: it waits, and the caller's event loop with it; more than ${blockedMsMax} ms is too long`,
  );
}

function checkTimes(slot: string, what: string, times: HeldTimes): void {
  checkLeast(slot, what, times);
  const { first } = times;
  if (first <= firstBlockedMsMax) return;
  broken(
    `${slot} took ${first.toFixed(1)} ms the first time, ${what}, and the caller's event loop stood still; what takes time belongs in open or model_load`,
  );
}

/** The first ones of the process too, so this comes before all else. */
async function checkFirstQueues(subject: Subject): Promise<void> {
  const times = await heldTimes(measuredOpenings, () =>
    withPlugin(subject, async (plugin) => {
      let queue = 0;
      const held = heldBy(() => (queue = plugin.openQueue(0)));
      await plugin.closeQueue(queue);
      return held;
    }),
  );
  checkTimes('queue_open', 'for the first queue after open', times);
}

async function checkQueues({ plugin, device }: Trial): Promise<void> {
  const times = await heldTimes(measuredCalls, async () => {
    let queue = 0;
    const held = heldBy(() => (queue = plugin.openQueue(device)));
    await plugin.closeQueue(queue);
    return held;
  });
  checkTimes('queue_open', 'for one queue more', times);
}

async function checkSubmits({ plugin, queue, sample }: Trial): Promise<void> {
  const small = smaller(sample);
  const requests = new Array<typeof small.request>(busyTasks).fill(small.request);
  const submitMs = async (isBusy: boolean) => {
    const tasks = isBusy ? plugin.submit(queue, requests) : [];
    const held = heldBy(() => tasks.push(...plugin.submit(queue, [small.request])));
    for (const completion of await allOf(tasks)) checkCompletion(small, completion);
    return held;
  };
  const cancelMs = async () => {
    const tasks = plugin.submit(queue, requests);
    // It waits the longest.
    const last = tasks[busyTasks - 1] as SubmittedTask;
    const held = heldBy(() => {
      plugin.cancel(last);
    });
    await allOf(tasks);
    return held;
  };
  const what = `for one task of ${sample.label}`;
  checkTimes('submit', what, await heldTimes(measuredCalls, () => submitMs(false)));
  const busy = await heldTimes(measuredCalls, () => submitMs(true));
  checkLeast('submit', `${what}, behind ${busyTasks} others`, busy);
  const cancelled = await heldTimes(measuredCalls, cancelMs);
  checkLeast('cancel', `${what}, behind ${busyTasks - 1} others`, cancelled);
}

async function checkStreams({ plugin, device, sample }: StreamTrial): Promise<void> {
  const bytes = inputOf(smaller(sample));
  const withStream = async (work: (open: () => StreamUnderTest) => Promise<HeldMs>) => {
    let stream: StreamUnderTest | undefined;
    try {
      return await work(() => (stream = plugin.openStream(device, sample.request)));
    } finally {
      await stream?.close();
    }
  };
  const openMs = () => withStream((open) => Promise.resolve(heldBy(open)));
  const writeMs = () =>
    withStream(async (open) => {
      const stream = open();
      let written: Promise<unknown> = Promise.resolve();
      const held = heldBy(() => {
        written = stream.write(bytes, true);
      });
      await written;
      return held;
    });
  const what = `for ${sample.label}`;
  checkTimes('stream_open', what, await heldTimes(measuredCalls, openMs));
  checkTimes('stream_write', what, await heldTimes(measuredCalls, writeMs));
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
      await checkFirstQueues(subject);
      await withPlugin(subject, (plugin) => tryStreamSamples(plugin, checkStreams));
      await withSamples(subject, async (trial) => {
        await checkQueues(trial);
        await checkSubmits(trial);
      });
    },
  },
];
