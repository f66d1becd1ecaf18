import { connected, type TaskCompletion } from '../host-connection.js';
import { processState, stateChange } from '../process-state.js';
import { broken, type Rule } from '../rule.js';
import { isExact, smaller, type OpSample } from '../samples/sample.js';
import {
  allOf,
  checkCompletion,
  sameOutputs,
  withPlugin,
  withSamples,
  type Trial,
} from '../trials.js';

/** Queues that are used at once, tasks of each submit to one of them, and submits to each. */
const [queuesAtOnce, tasksPerSubmit, submitsPerQueue] = [4, 8, 4];
const contents = 4;
/** What a clock of the host's may be behind one of the plugin's, milliseconds. */
const clockSlackMs = 1;
const nsPerMs = 1e6;

async function checkTogether(trial: Trial): Promise<void> {
  const { plugin, device, queue, sample } = trial;
  const samples = Array.from({ length: contents }, (_, seed) =>
    sample.vary({ seed, size: 'plain' }),
  );
  const alone: TaskCompletion[] = [];
  for (const one of samples) alone.push(await plugin.run(queue, one.request));
  const others = Array.from({ length: queuesAtOnce - 1 }, () => plugin.openQueue(device));
  try {
    const ends: { readonly content: number; readonly completion: Promise<TaskCompletion> }[] = [];
    for (let round = 0; round < submitsPerQueue; round++) {
      for (const [place, used] of [queue, ...others].entries()) {
        const content = (round + place) % contents;
        const { request } = samples[content] as OpSample;
        const requests = new Array<typeof request>(tasksPerSubmit).fill(request);
        for (const { completion } of plugin.submit(used, requests)) {
          ends.push({ content, completion });
        }
      }
    }
    for (const { content, completion } of ends) {
      const together = await completion;
      checkCompletion(samples[content] as OpSample, together);
      if (!isExact(sample) || sameOutputs(alone[content] as TaskCompletion, together)) continue;
      broken(`${sample.label} gives another result than alone while other queues have tasks`);
    }
  } finally {
    await Promise.all(others.map((other) => plugin.closeQueue(other)));
  }
}

async function checkTimes({ plugin, queue, sample }: Trial): Promise<void> {
  for (const count of [1, 3]) {
    const { request } = smaller(sample);
    const startedAt = performance.now();
    const ends = await allOf(plugin.submit(queue, new Array<typeof request>(count).fill(request)));
    const elapsedMs = performance.now() - startedAt + clockSlackMs;
    for (const { timesNs } of ends) {
      for (const [name, ns] of Object.entries(timesNs)) {
        if (ns / nsPerMs <= elapsedMs) continue;
        const told = (ns / nsPerMs).toPrecision(3);
        broken(
          `${sample.label} told a ${name} of ${told} ms, and was back after ${elapsedMs.toPrecision(3)} ms`,
        );
      }
    }
  }
}

/** What a plugin shares with others: the process, and its own queues. */
export const surroundingsRules: readonly Rule[] = [
  {
    id: 'process-unchanged',
    title: 'leaves what the whole process shares, and the threads of the host, as they are',
    check: async (subject) => {
      connected();
      const before = processState();
      const check = (after: string) => {
        const changed = stateChange(before);
        if (changed !== undefined) broken(`after ${after} it has changed ${changed}`);
      };
      await withPlugin(subject, () => {
        check('open');
        return Promise.resolve();
      });
      check('close');
      await withSamples(subject, async ({ plugin, queue, sample }) => {
        const tasks = plugin.submit(queue, [sample.request]);
        check(`submit of ${sample.label}`);
        for (const completion of await allOf(tasks)) checkCompletion(sample, completion);
        check(`a task of ${sample.label}`);
      });
      check('its tasks and close');
    },
  },
  {
    id: 'queues-together',
    title: `gives tasks of ${queuesAtOnce} queues at once their own results`,
    check: (subject) => withSamples(subject, checkTogether),
  },
  {
    id: 'times',
    title: 'tells no times of a task that are longer than it took',
    check: (subject) => withSamples(subject, checkTimes),
  },
];
