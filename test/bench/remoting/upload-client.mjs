// node upload-client.mjs SOCKET: for each line on standard input uploads 1 GiB by a call of compress while echoes of 64 B go
// over the same connection, one each millisecond, and prints {p99Ms, aloneP99Ms, uploadSeconds}.
import '../no-telemetry.mjs';

import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { connect } from 'axle';

const GiB = 1024 ** 3;
const PERIOD_MS = 1;
const ALONE_MS = 1000;

const [socket = ''] = process.argv.slice(2);
const axle = await connect(`axle+unix:${socket}`);
const large = new Uint8Array(GiB);
const small = new Uint8Array(64).fill(7);

await echoWhile(sleep(2 * ALONE_MS));
console.log('ready');
const lines = createInterface(process.stdin)[Symbol.asyncIterator]();
while ((await lines.next()).done !== true) {
  const aloneP99Ms = await echoWhile(sleep(ALONE_MS));
  const startedAt = performance.now();
  const p99Ms = await echoWhile(axle.compress(large, { codec: 'lz4', level: 1 }));
  const uploadSeconds = (performance.now() - startedAt) / 1000;
  console.log(JSON.stringify({ p99Ms, aloneP99Ms, uploadSeconds }));
}
process.exit();

/**
 * Times count from when a call was meant to begin, so that a client that is held up counts too.
 *
 * @param {Promise<unknown>} under
 * @returns {Promise<number>} p99 of the calls that began before `under` was done
 */
async function echoWhile(under) {
  let over = false;
  void under.finally(() => (over = true));
  /** @type {number[]} */
  const latenciesMs = [];
  /** @type {Promise<void>[]} */
  const calls = [];
  const startedAt = performance.now();
  for (let i = 0; !over; i++) {
    const meantAt = startedAt + i * PERIOD_MS;
    const early = meantAt - performance.now();
    if (early > 0) await sleep(early);
    calls.push(
      axle.run('echo.axle/echo', { bytes: small }).then(() => {
        latenciesMs.push(performance.now() - meantAt);
      }),
    );
  }
  await Promise.all(calls);
  await under;
  latenciesMs.sort((a, b) => a - b);
  return latenciesMs[Math.floor(latenciesMs.length * 0.99)] ?? NaN;
}
