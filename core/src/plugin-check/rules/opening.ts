import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { ErrorCode, HealthState } from '../../generated/constants.js';
import type { NativeStatistics } from '../../native-binding.js';
import { PluginUnderTest } from '../plugin-under-test.js';
import { leftBehind, windowsInAll } from '../left-behind.js';
import { broken, type CheckedPlugin, type Rule } from '../rule.js';
import { smaller } from '../samples/sample.js';
import { unknownFormat } from '../samples/damaged-models.js';
import { allOf, withPlugin, withSamples, type Trial } from '../trials.js';

const reopenings = 20;
const queuesAtOnce = 64;
/** Openings in each window of the rule 'opening-leaks', and for about how long it goes on: a driver may take its time. */
const [openingsMin, openingsMax, openingsMs] = [4, 160, 6000];
const timedOpenings = 3;
const leakBytesPerOpeningMax = 4 * 1024;
/** Less cannot be told from what a process does for itself. */
const leakBytesMin = 512 * 1024;
const leakBytesPerQueueMax = 512;
/** health() may block for milliseconds, not for a round trip to a server. */
const healthMsMax = 250;
const healthCalls = 3;
/** A supports() that takes longer looks at the device or parses the model. */
const supportsMsMax = 1;
const supportsCalls = 50;
const supportsRounds = 5;
const countedTasks = 32;
/** A counter may rise shortly after the task's completion. */
const countingMsMax = 2000;

function threadCount(): number {
  return readdirSync('/proc/self/task').length;
}

/** All that it says of itself, in one text. */
function descriptionOf({ info: { pluginId: _, ...said } }: PluginUnderTest): Promise<string> {
  return Promise.resolve(JSON.stringify(said));
}

function openOddly({ path, options }: CheckedPlugin): Promise<PluginUnderTest> {
  return PluginUnderTest.open(path, { ...options, 'axle.check.no-such-option': '1' });
}

async function useQueues(plugin: PluginUnderTest, device: number): Promise<void> {
  const queues = Array.from({ length: queuesAtOnce }, () => plugin.openQueue(device));
  await Promise.all(queues.map((queue) => plugin.closeQueue(queue)));
}

/** The first one does what the others find done. */
async function leastOpeningMs(subject: CheckedPlugin): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < timedOpenings; i++) {
    const startedAt = performance.now();
    await reopen(subject);
    least = Math.min(least, performance.now() - startedAt);
  }
  return least;
}

async function reopen(subject: CheckedPlugin): Promise<void> {
  await withPlugin(subject, () => Promise.resolve());
  const odd = await openOddly(subject).catch(() => undefined);
  await odd?.close();
}

/** The least mean of some rounds, milliseconds: other processes slow some of them down. */
function supportsMs({ plugin, device, sample }: Trial): number {
  const source = sample.model?.source ?? null;
  const rounds = Array.from({ length: supportsRounds }, () => {
    const startedAt = performance.now();
    for (let i = 0; i < supportsCalls; i++) plugin.supports(device, sample.request, source);
    return (performance.now() - startedAt) / supportsCalls;
  });
  return Math.min(...rounds);
}

/** Other processes slow some calls down. */
async function leastHealthMs(plugin: PluginUnderTest, device: number): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < healthCalls; i++) {
    const startedAt = performance.now();
    await plugin.health(device);
    least = Math.min(least, performance.now() - startedAt);
  }
  return least;
}

const counters = ['tasksCompleted', 'tasksFailed', 'batches', 'computeNs'] as const;
const percentMax = 100;

function checkCounters(before: NativeStatistics | undefined, now: NativeStatistics): void {
  for (const name of counters) {
    const last = before?.[name] ?? 0;
    if (now[name] < last) broken(`${name} went from ${last} back to ${now[name]}`);
  }
  const { utilizationPercent } = now;
  if (utilizationPercent > percentMax) broken(`it tells ${utilizationPercent} % of utilization`);
}

/** Of a plugin that was used before. */
async function checkFreshCounters(plugin: PluginUnderTest): Promise<void> {
  for (const device of plugin.info.devices.keys()) {
    const { tasksCompleted, tasksFailed } = await plugin.statistics(device);
    const count = tasksCompleted + tasksFailed;
    if (count > 0) broken(`opened anew it has counted ${count} tasks already`);
  }
}

/** What a plugin says of itself, and how it opens and closes. */
export const openingRules: readonly Rule[] = [
  {
    id: 'loads',
    title:
      'loads, speaks this ABI, fills the slots that it must, and describes itself within the limits',
    check: (subject) => withPlugin(subject, () => Promise.resolve()),
  },
  {
    id: 'unknown-option',
    title: 'refuses an option that it does not know with INVALID_ARGUMENT',
    check: async (subject) => {
      const outcome = await openOddly(subject).catch((error: unknown) => error);
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
    title: 'can be closed and opened again, is the same again, and leaves no thread behind',
    check: async (subject) => {
      const described = await withPlugin(subject, descriptionOf);
      const before = threadCount();
      for (let i = 0; i < reopenings; i++) {
        if ((await withPlugin(subject, descriptionOf)) === described) continue;
        broken('it describes itself, its devices or its ops otherwise when it is opened again');
      }
      const left = threadCount() - before;
      if (left > reopenings / 2)
        broken(`${reopenings} times opened and closed left ${left} threads`);
    },
  },
  {
    id: 'opening-leaks',
    title: 'holds no more memory, descriptors and threads after it was opened and closed often',
    check: async (subject) => {
      const openingMs = await leastOpeningMs(subject);
      const fitting = Math.floor(openingsMs / windowsInAll / openingMs);
      const openings = Math.min(Math.max(fitting, openingsMin), openingsMax);
      const left = await leftBehind({
        work: () => reopen(subject),
        what: 'openings, and as many that were refused for an option,',
        perRound: 1,
        roundsPerWindow: openings,
        bytesPerRoundMax: Math.max(leakBytesPerOpeningMax, leakBytesMin / openings),
      });
      if (left !== undefined) broken(left);
    },
  },
  {
    id: 'health',
    title: `reports health that is in range, within ${healthMsMax} ms`,
    check: (subject) =>
      withPlugin(subject, async (plugin) => {
        for (const device of plugin.info.devices.keys()) {
          const ms = await leastHealthMs(plugin, device);
          if (ms > healthMsMax) {
            broken(`device ${device} took ${Math.round(ms)} ms to say how it is`);
          }
          // A state that is out of range is a fault that the plugin host counts.
          const { state, message } = await plugin.health(device);
          if (state !== HealthState.OK && message === '') {
            broken(`device ${device} is not OK and does not say why`);
          }
        }
      }),
  },
  {
    id: 'refusals',
    title: 'says why when supports() is 0',
    check: (subject) =>
      withPlugin(subject, (plugin) => {
        for (const device of plugin.info.devices.keys()) {
          for (const sample of plugin.samples()) {
            const source = sample.model?.source ?? null;
            for (const model of source === null ? [null] : [source, unknownFormat(source)]) {
              const { score, reason } = plugin.supports(device, sample.request, model);
              if (score === 0 && reason === '') {
                broken(`supports() is 0 for ${sample.label}, and does not say why`);
              }
            }
          }
        }
        return Promise.resolve();
      }),
  },
  {
    id: 'queues',
    title: `opens and closes ${queuesAtOnce} queues at once`,
    check: (subject) =>
      withPlugin(subject, async (plugin) => {
        for (const device of plugin.info.devices.keys()) {
          await useQueues(plugin, device);
        }
      }),
  },
  {
    id: 'queue-leaks',
    title: 'holds no more memory, descriptors and threads after many queues than after a few',
    check: (subject) =>
      withPlugin(subject, async (plugin) => {
        for (const device of plugin.info.devices.keys()) {
          const left = await leftBehind({
            work: () => useQueues(plugin, device),
            what: 'queues',
            perRound: queuesAtOnce,
            bytesPerRoundMax: queuesAtOnce * leakBytesPerQueueMax,
          });
          if (left !== undefined) broken(left);
        }
      }),
  },
];

/** What it says of itself while it works, and of what it did. */
export const reportingRules: readonly Rule[] = [
  {
    id: 'statistics',
    title: 'counts each task once since it was opened, where it counts them',
    check: async (subject) => {
      await withSamples(subject, async ({ plugin, device, queue, sample }) => {
        let last: NativeStatistics | undefined;
        const counted = async () => {
          const now = await plugin.statistics(device);
          checkCounters(last, now);
          last = now;
          return now.tasksCompleted + now.tasksFailed;
        };
        const before = await counted();
        const requests = new Array(countedTasks).fill(smaller(sample).request);
        await allOf(plugin.submit(queue, requests));
        const until = performance.now() + countingMsMax;
        let more = (await counted()) - before;
        while (more !== 0 && more < countedTasks && performance.now() < until) {
          await delay(1);
          more = (await counted()) - before;
        }
        if (more === 0 && before === 0) return;
        if (more !== countedTasks) {
          broken(`${countedTasks} tasks of ${sample.label} raised its counters by ${more}`);
        }
        // They go on from there.
        await counted();
      });
      await withPlugin(subject, checkFreshCounters);
    },
  },
  {
    id: 'supports',
    title: `answers supports() within ${supportsMsMax} ms, also while the device works`,
    check: (subject) =>
      withSamples(subject, async (trial) => {
        const { plugin, queue, sample } = trial;
        const idle = supportsMs(trial);
        if (idle > supportsMsMax) {
          broken(`it took ${idle.toFixed(1)} ms to say whether it runs ${sample.label}`);
        }
        const requests = new Array(countedTasks).fill(sample.request);
        const tasks = allOf(plugin.submit(queue, requests));
        const busy = supportsMs(trial);
        await tasks;
        if (busy > supportsMsMax) {
          broken(
            `it took ${busy.toFixed(1)} ms to say whether it runs ${sample.label} while tasks ran`,
          );
        }
      }),
  },
];
