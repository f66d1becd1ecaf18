import { createInterface } from 'node:readline';

/**
 * Sends bytes and gets them back. The payload stays as it is until `done` is called, which has looked at the reply when it
 * returns: then `into`, where replies may be laid, is free again.
 *
 * @typedef {(payload: Buffer, done: (error: unknown, reply: Uint8Array) => void, into: Uint8Array) => void} Echo
 */

/** @typedef {(bytes: number) => Promise<Uint8Array>} Allocate memory for payloads and replies */

/**
 * What one client measured.
 *
 * @typedef {object} EchoFigures
 * @property {number} calls
 * @property {number} seconds
 * @property {number} p50Us
 * @property {number} p99Us
 * @property {number} copiedBytes between shared memory and memory of the client
 */

/**
 * For each line `BYTES IN_FLIGHT SECONDS` on standard input: keeps that many calls in flight for so long, and prints its
 * figures as JSON.
 *
 * @param {Echo} echo
 * @param {Allocate} allocate
 * @param {() => number} copiedBytes so far, by this process
 */
export async function serveEchoLoads(echo, allocate = allocatePlain, copiedBytes = () => 0) {
  console.log('ready');
  for await (const line of createInterface(process.stdin)) {
    const [bytes = 0, inFlight = 1, seconds = 1] = line.split(' ').map(Number);
    const before = copiedBytes();
    const figures = await echoLoad(echo, allocate, bytes, inFlight, seconds);
    console.log(JSON.stringify({ ...figures, copiedBytes: copiedBytes() - before }));
  }
  // Connections that are open would keep the process alive.
  process.exit();
}

/**
 * Every byte is written before it is sent, and looked at when it comes back.
 *
 * @param {Echo} echo
 * @param {Allocate} allocate
 * @param {number} bytes
 * @param {number} inFlight
 * @param {number} seconds
 * @returns {Promise<Omit<EchoFigures, 'copiedBytes'>>}
 */
async function echoLoad(echo, allocate, bytes, inFlight, seconds) {
  // Taking the time costs something: with many small ones in flight, it is taken of every tenth call.
  const every = inFlight === 1 || bytes >= longBytes ? 1 : 10;
  /** @type {number[]} */
  const latenciesMs = [];
  let calls = 0;
  const memory = await memoryFor(allocate, bytes, inFlight);
  const startedAt = performance.now();
  const until = startedAt + seconds * 1000;
  const caller = async (/** @type {EchoMemory} */ { payload, into }) => {
    return /** @type {Promise<void>} */ (
      new Promise((resolve, reject) => {
        let turn = 0;
        let sentAt = 0;
        const next = () => {
          turn += 1;
          payload.fill(turn & 0xff);
          if (turn % every === 0) sentAt = performance.now();
          echo(payload, done, into);
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
  };
  await Promise.all(memory.map(caller));
  const elapsed = (performance.now() - startedAt) / 1000;
  latenciesMs.sort((a, b) => a - b);
  const us = (/** @type {number} */ share) =>
    1000 * (latenciesMs[Math.floor(latenciesMs.length * share)] ?? NaN);
  return { calls, seconds: elapsed, p50Us: us(0.5), p99Us: us(0.99) };
}

/** Larger calls are few. */
const longBytes = 1024 * 1024;

/** @type {Allocate} */
function allocatePlain(bytes) {
  return Promise.resolve(Buffer.alloc(bytes));
}

/** @typedef {{ readonly payload: Buffer, readonly into: Uint8Array }} EchoMemory of one caller */

/** By size: it is made once, as a client that cares would. @type {Map<number, EchoMemory[]>} */
const memories = new Map();

/**
 * @param {Allocate} allocate
 * @param {number} bytes
 * @param {number} callers
 */
async function memoryFor(allocate, bytes, callers) {
  const memory = memories.get(bytes) ?? [];
  memories.set(bytes, memory);
  while (memory.length < callers) {
    const { buffer, byteOffset } = await allocate(bytes);
    memory.push({ payload: Buffer.from(buffer, byteOffset, bytes), into: await allocate(bytes) });
  }
  return memory.slice(0, callers);
}
