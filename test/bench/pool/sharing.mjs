import { setTimeout as sleep } from 'node:timers/promises';

import { SeededRandom } from '@axle/cli/load';

import { median } from '../row.mjs';
import { CpuWatch, latenciesOf } from './loads.mjs';
import { poolRow } from './pool-row.mjs';
import { SimulatedServers, work } from './simulated-servers.mjs';

const DEVICES = 4;
const ROUNDS = 3;
const ROUND_MS = 12_000;
const PER_SECOND = 4;

/**
 * Functions after the mix of DGSF (Fingler et al., IPDPS 2022): what each does beside the device (it fetches its input and
 * works on what came back) and the batches that it runs there, milliseconds.
 */
const FUNCTIONS = [
  { name: 'k-means', asideMs: [150, 50], batches: 24, batchMs: 10 },
  { name: 'CT scan', asideMs: [300, 150], batches: 8, batchMs: 30 },
  { name: 'faces', asideMs: [250, 200], batches: 6, batchMs: 20 },
  { name: 'answers', asideMs: [100, 50], batches: 4, batchMs: 25 },
  { name: 'entities', asideMs: [120, 60], batches: 10, batchMs: 15 },
  { name: 'images', asideMs: [350, 150], batches: 5, batchMs: 12 },
];

/**
 * How long functions wait for devices when they share them, beside devices that each have one function at a time.
 *
 * @param {string} folder
 */
export async function benchSharing(folder) {
  const servers = await SimulatedServers.start(folder, DEVICES);
  try {
    const client = await servers.client();
    await Promise.all(Array.from({ length: 40 }, () => work(client, 10)));
    const shared = (/** @type {Function_} */ it) => runFunction(client, it, {});
    const own = await ownTimes(shared);
    const free = Array.from({ length: DEVICES }, (_, i) => `sim${i + 1}-all`);
    /** @type {((device: string) => void)[]} */
    const waiting = [];
    const alone = async (/** @type {Function_} */ it) => {
      const device =
        free.pop() ??
        (await new Promise((/** @type {(device: string) => void} */ resolve) => {
          waiting.push(resolve);
        }));
      await runFunction(client, it, { device, strict: true });
      const next = waiting.shift();
      if (next === undefined) free.push(device);
      else next(device);
    };
    const values = [];
    const peerValues = [];
    const busy = [];
    for (let round = 1; round <= ROUNDS; round++) {
      const watch = new CpuWatch();
      peerValues.push(await waitMs(round, alone, own));
      values.push(await waitMs(round, shared, own));
      busy.push(watch.busy);
    }
    return [
      poolRow({
        ...{ case: `mean wait of functions, ${DEVICES} simulated devices`, unit: 'ms', values },
        ...{ peer: 'a device for each function', peerValues, busy },
        ...{ ratio: (value, peer) => peer / value, goal: 1 / 0.47 },
      }),
    ];
  } finally {
    await servers.stop();
  }
}

/** @typedef {(typeof FUNCTIONS)[number]} Function_ */

/**
 * What each function takes with all devices to itself: with its way there and back, and what timers come too late by, which
 * are no wait for a device.
 *
 * @param {(it: Function_) => Promise<void>} run
 * @returns {Promise<Map<Function_, number>>} milliseconds
 */
async function ownTimes(run) {
  const own = new Map();
  for (const it of FUNCTIONS) {
    const times = [];
    for (let i = 0; i < ROUNDS; i++) {
      const began = performance.now();
      await run(it);
      times.push(performance.now() - began);
    }
    own.set(it, median(times));
  }
  return own;
}

/**
 * How long functions waited for devices, on the average.
 *
 * @param {number} seed
 * @param {(it: Function_) => Promise<void>} run
 * @param {Map<Function_, number>} own
 */
async function waitMs(seed, run, own) {
  const random = new SeededRandom(seed);
  let ownMs = 0;
  /** @type {Function_[]} */
  const order = [];
  const latencies = await latenciesOf({
    ...{ perSecond: PER_SECOND, forMs: ROUND_MS, seed },
    send: async (index) => {
      while (order.length <= index) {
        order.push(/** @type {Function_} */ (FUNCTIONS[random.below(FUNCTIONS.length)]));
      }
      const it = /** @type {Function_} */ (order[index]);
      ownMs += own.get(it) ?? 0;
      await run(it);
    },
  });
  const sum = latencies.reduce((all, ms) => all + ms, 0);
  return Math.max(0, sum - ownMs) / latencies.length;
}

/**
 * @param {import('./simulated-servers.mjs').Client} client
 * @param {Function_} it
 * @param {{ device?: string, strict?: boolean }} options
 */
async function runFunction(client, { asideMs, batches, batchMs }, options) {
  await sleep(asideMs[0]);
  for (let i = 0; i < batches; i++) await work(client, batchMs, options);
  await sleep(asideMs[1]);
}
