// npm run bench -- batching: what putting calls together gains, and what knowing the deadlines gains besides.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { coarseClock, openLoop, poissonGaps, SeededRandom } from '@axle/cli/load';
import { connect, shippedModels, Tensor } from 'axle';

import { callsPerSecond } from './calls-per-second.mjs';
import { compare, median, row } from './row.mjs';
import { wideName, wideShape, writeWideModels } from './wide-model.mjs';

/** @typedef {import('./row.mjs').Row} Row */
/** @typedef {Awaited<ReturnType<typeof connect>>} Client */

const CALLERS = 64;
/** Enough for full batches on every core: what they get through is the capacity. */
const CAPACITY_CALLERS = 256;
const CAPACITY_MS = 500;
const ROUNDS = 5;
const ROUND_MS = 1500;
/** Arrivals for each of what one call at a time could serve: under, at and over capacity. */
const LOADS = [0.5, 1, 2, 3];
const GOODPUT_MS = 3000;
const DEADLINE_MS = 25;

/** One image of the mlp model: [1, 1, 32, 32]. */
const IMAGE = Tensor.from('FP32', new Float32Array(32 * 32).fill(0.25), [1, 1, 32, 32]);
const MLP = { image: IMAGE };
/** What the wide model takes. */
const WIDE = { x: Tensor.from('FP32', new Float32Array(1024).fill(0.25), wideShape) };

/** The `dynamic_batching` of each way to run the model; undefined = none. */
const CONFIGS = {
  off: undefined,
  on: 'dynamic_batching { }',
  fixed: `dynamic_batching { preferred_batch_size: [ 16 ] max_queue_delay_microseconds: 5000 }
    parameters { key: "axle.batching.slo_aware" value { string_value: "false" } }`,
};

/**
 * @param {(line: string) => void} progress
 * @returns {Promise<Row[]>}
 */
export async function benchBatching(progress) {
  const folder = await mkdtemp(join(tmpdir(), 'axle-bench-'));
  try {
    for (const [name, batching] of Object.entries(CONFIGS))
      await writeModel(folder, name, batching);
    await writeWideModels(folder);
    const client = await connect({ models: folder });
    // Compiled and learned, whichever comes first.
    for (const name of Object.keys(CONFIGS)) await callsOf(client, name, CALLERS, ROUND_MS)();
    const rows = await throughput(client, progress);
    rows.push(...(await goodput(client, progress)));
    await client.close();
    return rows;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/**
 * The mlp model under another name, with its own file so that it is loaded by itself.
 *
 * @param {string} folder
 * @param {string} name
 * @param {string | undefined} batching
 */
async function writeModel(folder, name, batching) {
  const from = join(shippedModels, 'mlp');
  await cp(from, join(folder, name), { recursive: true });
  const config = await readFile(join(from, 'config.pbtxt'), 'utf8');
  const named = config.replace('name: "mlp"', `name: "${name}"`);
  await writeFile(
    join(folder, name, 'config.pbtxt'),
    named.replace('dynamic_batching { }', batching ?? ''),
  );
}

/**
 * @param {Client} client
 * @param {(line: string) => void} progress
 */
async function throughput(client, progress) {
  progress(`${CALLERS} callers`);
  const common = {
    bench: 'batching',
    unit: 'calls/s',
    peer: 'the same with batching off',
    goal: 2.5,
    rounds: ROUNDS,
    better: /** @type {const} */ ('higher'),
  };
  const mlp = await compare({
    case: `mlp, ${CALLERS} callers`,
    run: callsOf(client, 'on', CALLERS, ROUND_MS),
    runPeer: callsOf(client, 'off', CALLERS, ROUND_MS),
    ...common,
  });
  progress(`${CALLERS} callers of a model that keeps the device busy`);
  const on = callsOf(client, 'wide-on', CALLERS, ROUND_MS, WIDE);
  const off = callsOf(client, 'wide-off', CALLERS, ROUND_MS, WIDE);
  await on();
  await off();
  const wide = await compare({
    case: `MLP ${wideName}, ${CALLERS} callers`,
    run: on,
    runPeer: off,
    ...common,
  });
  return [mlp, wide];
}

/**
 * @param {Client} client
 * @param {string} model
 * @param {number} callers
 * @param {number} forMs
 * @param {Record<string, Tensor>} inputs
 */
function callsOf(client, model, callers, forMs, inputs = MLP) {
  return () => callsPerSecond(callers, forMs, () => client.infer(model, inputs));
}

/**
 * Calls in time under a deadline, from arrivals that do not wait for results.
 *
 * @param {Client} client
 * @param {(line: string) => void} progress
 */
async function goodput(client, progress) {
  const rows = [];
  for (const load of LOADS) {
    progress(`goodput at ${load} x capacity`);
    /** @type {{ aware: number[], fixed: number[], single: number[] }} */
    const measured = { aware: [], fixed: [], single: [] };
    const rates = [];
    for (let round = 0; round < ROUNDS; round++) {
      // Anew each time: a virtual machine has fast minutes and slow ones.
      const rate = load * (await callsOf(client, 'on', CAPACITY_CALLERS, CAPACITY_MS)());
      rates.push(rate);
      measured.single.push(await inTimePerSecond(client, 'off', rate));
      measured.fixed.push(await inTimePerSecond(client, 'fixed', rate));
      measured.aware.push(await inTimePerSecond(client, 'on', rate));
    }
    const ratios = measured.aware.map(
      (value, i) => value / Math.max(measured.single[i] ?? 0, measured.fixed[i] ?? 0),
    );
    const single = median(measured.single);
    const fixed = median(measured.fixed);
    rows.push(
      row({
        bench: 'batching',
        case: `goodput within ${DEADLINE_MS} ms at ${load} x capacity (${Math.round(median(rates))} calls/s)`,
        unit: 'calls/s',
        value: median(measured.aware),
        peer: `the better of one at a time (${single.toFixed(0)}) and 16 or 5 ms (${fixed.toFixed(0)})`,
        peerValue: Math.max(single, fixed),
        ratio: median(ratios),
        goal: load > 1 ? 1.2 : null,
      }),
    );
  }
  return rows;
}

/**
 * Poisson arrivals at a rate, made in turns of a millisecond or more, each with the deadline from the moment at which it
 * was due.
 *
 * @param {Client} client
 * @param {string} model
 * @param {number} perSecond
 */
async function inTimePerSecond(client, model, perSecond) {
  const clock = coarseClock;
  let inTime = 0;
  await openLoop({
    clock,
    gaps: poissonGaps(perSecond, new SeededRandom(7)),
    outstandingMax: Infinity,
    send: ({ dueAt, sentAt }) => {
      const deadlineMs = Math.max(0, dueAt + DEADLINE_MS - sentAt);
      return client.infer(model, { image: IMAGE }, { deadlineMs });
    },
    observer: {
      succeeded: ({ dueAt }, endedAt) => {
        if (endedAt <= dueAt + DEADLINE_MS) inTime += 1;
      },
      // Too late, or refused because it would be.
      failed: () => undefined,
    },
    end: { atMs: clock.now() + GOODPUT_MS },
  });
  return (inTime * 1000) / GOODPUT_MS;
}
