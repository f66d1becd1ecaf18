import { join } from 'node:path';

import { PoolBackend } from '@axle/remoting';

import { CpuWatch } from './loads.mjs';
import { poolRow } from './pool-row.mjs';
import { startSimulated } from './simulated-servers.mjs';

const SERVERS = 250;
const DEVICES = 4;
const ROUNDS = 7;
const DECISIONS = 5000;
const MOST_US = 20;

/**
 * What it takes to choose among a thousand devices, of real servers that are connected: CPU time of this process.
 *
 * @param {string} folder
 */
export async function benchDecision(folder) {
  const prefixes = Array.from({ length: SERVERS }, (_, i) => join(folder, `many${i}`));
  const servers = [];
  for (const prefix of prefixes) servers.push(await startSimulated(prefix, DEVICES, ['all']));
  const urls = prefixes.map((prefix) => new URL(`axle+unix:${prefix}-all.sock`));
  const backend = await PoolBackend.connect({ servers: urls, connect: {} });
  try {
    const [device] = backend.devices;
    const [op] = backend.ops;
    if (device === undefined || op === undefined || device.all.length !== SERVERS * DEVICES) {
      throw new Error(`${device?.all.length ?? 0} devices are there`);
    }
    const source = { name: 'm', format: /** @type {const} */ ('onnx'), contentId: 'c', files: [] };
    const model = { source, device, inputs: [], outputs: [], memoryBytes: 0, handle: undefined };
    for (const far of device.all.slice(0, 10)) far.modelOf(model, 0);
    const choose = (/** @type {typeof model | undefined} */ wanted) => {
      const before = process.cpuUsage();
      for (let i = 0; i < DECISIONS; i++) backend.pool.placeFor(device, op, 'local', wanted);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / DECISIONS;
    };
    return [undefined, model].map((wanted) => {
      choose(wanted);
      const watch = new CpuWatch();
      const values = Array.from({ length: ROUNDS }, () => choose(wanted));
      const what = wanted === undefined ? 'a task' : 'a task with a model that ten of them have';
      return poolRow({
        ...{ case: `choice of ${SERVERS * DEVICES} devices for ${what}`, unit: 'us', values },
        ...{ peer: `${MOST_US} us`, peerValues: values.map(() => MOST_US), goal: 1 },
        ...{ ratio: (value, peer) => peer / value, busy: [watch.busy], isBusyAnyway: true },
      });
    });
  } finally {
    await backend.close();
    for (const { close } of servers) await close();
  }
}
