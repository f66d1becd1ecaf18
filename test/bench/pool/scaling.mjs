import { CpuWatch, closedLoop, latenciesOf, over, quantile } from './loads.mjs';
import { poolRow } from './pool-row.mjs';
import { SimulatedServers, work } from './simulated-servers.mjs';

const SERVERS = 4;
const ROUNDS = 3;
const TASK_MS = 20;
const CALLERS_OF_EACH = 8;
const THROUGHPUT_MS = 5000;
const GRAY_MS = 10_000;
const GRAY_SLOWNESS = 10;
const GRAY_TASK_MS = 10;
/** Of all four. */
const GRAY_LOAD = 0.4;
/** In which the pool finds out. */
const LEARN_MS = 5000;

/**
 * What one, two and four servers get through, and what one that has become slow does to the others.
 *
 * @param {string} folder
 */
export async function benchScaling(folder) {
  const servers = await SimulatedServers.start(folder, SERVERS);
  try {
    return [...(await throughput(servers)), ...(await gray(servers))];
  } finally {
    await servers.stop();
  }
}

/** @param {SimulatedServers} servers */
async function throughput(servers) {
  const counts = [1, 2, SERVERS];
  /** @type {Map<number, number[]>} */
  const perSecond = new Map(counts.map((count) => [count, []]));
  const clients = new Map();
  for (const count of counts) clients.set(count, await servers.client('all', count));
  const busy = [];
  for (let round = -1; round < ROUNDS; round++) {
    const watch = new CpuWatch();
    for (const count of counts) {
      const isOver = over(THROUGHPUT_MS);
      const call = () => work(clients.get(count), TASK_MS);
      const answered = await closedLoop(CALLERS_OF_EACH * count, isOver, call);
      if (round >= 0) perSecond.get(count)?.push((answered * 1000) / THROUGHPUT_MS);
    }
    if (round >= 0) busy.push(watch.busy);
  }
  const one = perSecond.get(1) ?? [];
  return counts.slice(1).map((count) =>
    poolRow({
      ...{ case: `${count} servers, simulated tasks of ${TASK_MS} ms`, unit: 'tasks/s', busy },
      ...{ values: perSecond.get(count) ?? [], goal: 0.95 },
      ...{ peer: `${count} times one server`, peerValues: one.map((each) => count * each) },
      ratio: (value, peer) => value / peer,
    }),
  );
}

/** @param {SimulatedServers} servers */
async function gray(servers) {
  const client = await servers.client();
  const perSecond = (GRAY_LOAD * SERVERS * 1000) / GRAY_TASK_MS;
  const send = () => work(client, GRAY_TASK_MS);
  const p99 = async () => {
    await latenciesOf({ perSecond, forMs: LEARN_MS, seed: 3, send });
    return quantile(await latenciesOf({ perSecond, forMs: GRAY_MS, seed: 4, send }), 0.99);
  };
  const values = [];
  const peerValues = [];
  const busy = [];
  for (let round = 0; round < ROUNDS; round++) {
    const watch = new CpuWatch();
    await servers.slow(1, 1);
    peerValues.push(await p99());
    await servers.slow(1, GRAY_SLOWNESS);
    values.push(await p99());
    busy.push(watch.busy);
  }
  await servers.slow(1, 1);
  return [
    poolRow({
      ...{ case: `p99, one of ${SERVERS} servers ${GRAY_SLOWNESS} times slower`, unit: 'ms', busy },
      ...{ values, peer: 'all healthy', peerValues, goal: 1 / 1.5 },
      ratio: (value, peer) => peer / value,
    }),
  ];
}
