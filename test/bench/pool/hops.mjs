import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { axleClient, axleServer, EchoPair, pairStarters, started } from '../remoting/echo-pair.mjs';
import { CpuWatch } from './loads.mjs';
import { poolRow } from './pool-row.mjs';

const ROUNDS = 7;
const BYTES = 64;
const WARM_UP_ROUNDS = 4;
const axle = fileURLToPath(new URL('../../../cli/bin/axle.js', import.meta.url));
const client = fileURLToPath(new URL('../remoting/axle-client.mjs', import.meta.url));

/**
 * What a call takes by a pool in direct mode, and by `axle pool`, beside one to the server itself and a bare ping-pong.
 *
 * @param {string} folder
 */
export async function benchHops(folder) {
  const server = join(folder, 'server.sock');
  const front = join(folder, 'front.sock');
  const one = new EchoPair(await axleServer(server), await axleClient(server));
  const pool = `axle+pool:?server=axle+unix:${server}`;
  const direct = new EchoPair(undefined, await started(process.execPath, [client, pool]));
  const where = ['--listen', `unix:${front}`, '--servers', `axle+unix:${server}`];
  const relay = new EchoPair(
    await started(process.execPath, [axle, 'pool', ...where]),
    await axleClient(front),
  );
  const net = await pairStarters(folder).net();
  const pairs = { one, direct, relay, net };
  try {
    /** @type {Record<keyof typeof pairs, number[]>} */
    const p50 = { one: [], direct: [], relay: [], net: [] };
    /** @type {number[]} */
    const busy = [];
    for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
      const watch = new CpuWatch();
      for (const name of /** @type {(keyof typeof pairs)[]} */ (Object.keys(pairs))) {
        const { p50Us } = await pairs[name].measure(BYTES, 1, 1, 'anywhere');
        if (round >= 0) p50[name].push(p50Us);
      }
      if (round >= 0) busy.push(watch.busy);
    }
    const hops = p50.relay.map((us, i) => us - (p50.one[i] ?? NaN));
    // One call in flight keeps a core busy on either side in turn: the machine's load says nothing here.
    const common = { unit: 'us', busy, isBusyAnyway: true };
    return [
      poolRow({
        ...{ ...common, case: `direct mode over one server, ${BYTES} B, p50` },
        ...{ values: p50.direct, peer: 'the server itself', peerValues: p50.one },
        ...{ ratio: (value, peer) => peer / value, goal: 1 / 1.1 },
      }),
      poolRow({
        ...{ ...common, case: `the hop that axle pool adds, ${BYTES} B, p50` },
        ...{ values: hops, peer: 'bare net ping-pong', peerValues: p50.net },
        ...{ ratio: (value, peer) => peer / value, goal: 1 / 1.6 },
      }),
    ];
  } finally {
    for (const pair of Object.values(pairs).reverse()) await pair.stop();
  }
}
