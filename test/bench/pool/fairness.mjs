import { CpuWatch, closedLoop, latenciesOf, over, quantile } from './loads.mjs';
import { poolRow } from './pool-row.mjs';
import { SimulatedServers, work } from './simulated-servers.mjs';

const SERVERS = 2;
const ROUNDS = 3;
const ROUND_MS = 15_000;
const VICTIM_MS = 40;
/** A quarter of the victim's. */
const AGGRESSOR_MS = 10;
const AGGRESSOR_CALLERS = 64;
/** Of both devices. */
const VICTIM_LOAD = 0.3;
const BACKLOGGED_MS = 8000;

/**
 * A tenant with little to do beside one that floods, and two that both have more than enough.
 *
 * @param {string} folder
 */
export async function benchFairness(folder) {
  const tenants = ['victim', 'aggressor'];
  const servers = await SimulatedServers.start(folder, SERVERS, tenants);
  try {
    const victim = await servers.client('victim');
    const aggressor = await servers.client('aggressor');
    // Whoever comes in as the victim, too, is served first come, first served.
    const alike = await servers.client('victim');
    const p99 = async (
      /** @type {import('./simulated-servers.mjs').Client | undefined} */ beside,
    ) => {
      let isOver = false;
      const flood =
        beside &&
        closedLoop(
          AGGRESSOR_CALLERS,
          () => isOver,
          () => work(beside, AGGRESSOR_MS),
        );
      const perSecond = (VICTIM_LOAD * SERVERS * 1000) / VICTIM_MS;
      const send = () => work(victim, VICTIM_MS);
      const latencies = await latenciesOf({ perSecond, forMs: ROUND_MS, seed: 7, send });
      isOver = true;
      await flood;
      return quantile(latencies, 0.99);
    };
    await Promise.all(Array.from({ length: 40 }, () => work(victim, VICTIM_MS)));
    await Promise.all(Array.from({ length: 40 }, () => work(aggressor, AGGRESSOR_MS)));
    const solo = [];
    const fair = [];
    const fcfs = [];
    const busy = [];
    for (let round = 0; round < ROUNDS; round++) {
      const watch = new CpuWatch();
      solo.push(await p99(undefined));
      fair.push(await p99(aggressor));
      fcfs.push(await p99(alike));
      busy.push(watch.busy);
    }
    const ratio = (/** @type {number} */ value, /** @type {number} */ peer) => peer / value;
    const common = { unit: 'ms', busy, ratio, peer: 'alone' };
    const jain = await jainIndex(victim, aggressor);
    return [
      poolRow({
        ...{ ...common, case: 'p99 of a victim beside an aggressor' },
        ...{ values: fair, peerValues: solo, goal: 1 / 1.5 },
      }),
      poolRow({
        ...{ ...common, case: 'the same, first come, first served' },
        ...{ values: fcfs, peerValues: solo, goal: null },
      }),
      poolRow({
        ...{ case: 'Jain index of two backlogged tenants', unit: '', values: [jain.index] },
        ...{ peer: 'even', peerValues: [1], busy: [jain.busy], goal: 0.98 },
        ratio: (value, peer) => value / peer,
      }),
    ];
  } finally {
    await servers.stop();
  }
}

/**
 * Of device time.
 *
 * @param {import('./simulated-servers.mjs').Client} one
 * @param {import('./simulated-servers.mjs').Client} other
 */
async function jainIndex(one, other) {
  const watch = new CpuWatch();
  const isOver = over(BACKLOGGED_MS);
  const [a = 0, b = 0] = await Promise.all([
    closedLoop(16, isOver, () => work(one, VICTIM_MS)),
    closedLoop(AGGRESSOR_CALLERS, isOver, () => work(other, AGGRESSOR_MS)),
  ]);
  const [aMs, bMs] = [a * VICTIM_MS, b * AGGRESSOR_MS];
  return { index: (aMs + bMs) ** 2 / (2 * (aMs ** 2 + bMs ** 2)), busy: watch.busy };
}
