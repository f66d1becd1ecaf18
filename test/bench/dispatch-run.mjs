// Run by `npm run bench -- dispatch`: echoes the whole way, client, dispatch, router, scheduler, addon, plugin thread,
// promise. node dispatch-run.mjs PLUGIN IN_FLIGHT SECONDS SPIN_US [als]; its parent pins its threads when it is ready,
// and gets {opsPerSecond, latenciesUs}.
import './no-telemetry.mjs';

import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';

import { connect } from 'axle';

const [path = '', inFlightText = '32', secondsText = '1', spinUs = '0', als] =
  process.argv.slice(2);
const inFlight = Number(inFlightText);
const warmUpMs = 1000;
const payload = new Uint8Array(64).fill(7);

const client = await connect({ plugins: [{ name: 'echo', path, options: { spin_us: spinUs } }] });
const storage = new AsyncLocalStorage();

process.send?.('ready');
await once(process, 'message');
// Until everything on the way is compiled.
await run(warmUpMs);
process.send?.(await run(Number(secondsText) * 1000));
await once(process, 'disconnect');
await client.close();

/** @param {number} forMs */
function run(forMs) {
  return als === 'als' ? storage.run({ request: 1 }, () => echo(forMs)) : echo(forMs);
}

/**
 * Latencies are of every tenth call, so that taking them costs little.
 *
 * @param {number} forMs
 */
async function echo(forMs) {
  const latenciesUs = /** @type {number[]} */ ([]);
  let done = 0;
  const startedAt = performance.now();
  const until = startedAt + forMs;
  const caller = async () => {
    for (let i = 0; ; i++) {
      const sentAt = i % 10 === 0 ? performance.now() : 0;
      await client.run('echo.axle/echo', { bytes: payload });
      done += 1;
      if (sentAt === 0) continue;
      const now = performance.now();
      latenciesUs.push((now - sentAt) * 1000);
      if (now > until) return;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  return { opsPerSecond: (done * 1000) / (performance.now() - startedAt), latenciesUs };
}
