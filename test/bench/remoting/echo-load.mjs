import { createInterface } from 'node:readline';

/**
 * Sends bytes and gets them back. The payload stays as it is until `done` is called.
 *
 * @typedef {(payload: Buffer, done: (error: unknown, reply: Uint8Array) => void) => void} Echo
 */

/**
 * What one client measured.
 *
 * @typedef {object} EchoFigures
 * @property {number} calls
 * @property {number} seconds
 * @property {number} p50Us
 * @property {number} p99Us
 */

/**
 * For each line `BYTES IN_FLIGHT SECONDS` on standard input: keeps that many calls in flight for so long, and prints its
 * figures as JSON.
 *
 * @param {Echo} echo
 */
export async function serveEchoLoads(echo) {
  console.log('ready');
  for await (const line of createInterface(process.stdin)) {
    const [bytes = 0, inFlight = 1, seconds = 1] = line.split(' ').map(Number);
    console.log(JSON.stringify(await echoLoad(echo, bytes, inFlight, seconds)));
  }
  // Connections that are open would keep the process alive.
  process.exit();
}

/**
 * Every byte is written before it is sent, and looked at when it comes back.
 *
 * @param {Echo} echo
 * @param {number} bytes
 * @param {number} inFlight
 * @param {number} seconds
 * @returns {Promise<EchoFigures>}
 */
async function echoLoad(echo, bytes, inFlight, seconds) {
  // Taking the time costs something: with many in flight, it is taken of every tenth call.
  const every = inFlight === 1 ? 1 : 10;
  /** @type {number[]} */
  const latenciesMs = [];
  let calls = 0;
  const startedAt = performance.now();
  const until = startedAt + seconds * 1000;
  const caller = () =>
    /** @type {Promise<void>} */ (
      new Promise((resolve, reject) => {
        const payload = Buffer.alloc(bytes);
        let turn = 0;
        let sentAt = 0;
        const next = () => {
          turn += 1;
          payload.fill(turn & 0xff);
          if (turn % every === 0) sentAt = performance.now();
          echo(payload, done);
        };
        const done = (/** @type {unknown} */ error, /** @type {Uint8Array} */ reply) => {
          if (error !== null) {
            reject(error instanceof Error ? error : new Error('the echo failed', { cause: error }));
            return;
          }
          if (payload.compare(reply) !== 0) {
            reject(new Error('the echo is not what was sent'));
            return;
          }
          calls += 1;
          if (turn % every === 0) {
            const now = performance.now();
            latenciesMs.push(now - sentAt);
            if (now >= until) {
              resolve();
              return;
            }
          }
          next();
        };
        next();
      })
    );
  await Promise.all(Array.from({ length: inFlight }, caller));
  const elapsed = (performance.now() - startedAt) / 1000;
  latenciesMs.sort((a, b) => a - b);
  const us = (/** @type {number} */ share) =>
    1000 * (latenciesMs[Math.floor(latenciesMs.length * share)] ?? NaN);
  return { calls, seconds: elapsed, p50Us: us(0.5), p99Us: us(0.99) };
}
