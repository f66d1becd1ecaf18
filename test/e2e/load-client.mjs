// A client under load in a process of its own: node load-client.mjs ENDPOINT NAME FILE [OPS]. It appends (which must not run
// twice), reverses and compresses without a break, checks what it gets, and writes each text to FILE whose append was
// answered, before it goes on. It tells its figures whenever it is asked, and ends when it is told 'stop'.
import { appendFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { gunzipSync } from 'node:zlib';

import { connect } from 'axle';

const [endpoint = '', name = '', file = '', ops = 'append,reverse,compress'] =
  process.argv.slice(2);
const callersOfEach = 2;

/** By op. */
const answered = { append: 0, reverse: 0, compress: 0 };
let wrong = 0;
/** Appends of which nobody knows whether they ran, as the error says. */
let unknown = 0;
/** What failed though it could have run elsewhere or again, and why. */
const failed = /** @type {string[]} */ ([]);
const begunAt = performance.now();
/** By op: what runs goes on beside what stands still. */
const lastAt = { append: begunAt, reverse: begunAt, compress: begunAt };
const longestMs = { append: 0, reverse: 0, compress: 0 };
let isOver = false;

const client = await connect(endpoint);

/** @param {keyof typeof answered} op */
function noteAnswer(op) {
  answered[op] += 1;
  const now = performance.now();
  longestMs[op] = Math.max(longestMs[op], now - lastAt[op]);
  lastAt[op] = now;
}

const calls = {
  /** @param {string} text */
  append: async (text) => {
    await client.run('test.axle/append', { bytes: Buffer.from(text) });
    appendFileSync(file, `${text}\n`);
  },
  /** @param {string} text */
  reverse: async (text) => {
    const { outputs } = await client.run('test.axle/reverse', { bytes: Buffer.from(text) });
    const bytes = /** @type {Uint8Array} */ (outputs['bytes']?.data);
    if (Buffer.from(bytes).toString() !== [...text].reverse().join('')) wrong += 1;
  },
  /** @param {string} text */
  compress: async (text) => {
    const input = Buffer.from(text.repeat(500));
    const { data } = await client.compress(input, { codec: 'gzip' });
    if (!gunzipSync(data).equals(input)) wrong += 1;
  },
};

/**
 * @param {keyof typeof answered} op
 * @param {number} first
 */
async function callAgainAndAgain(op, first) {
  for (let n = first; !isOver; n += callersOfEach) {
    try {
      await calls[op](`${name} ${n}`);
      noteAnswer(op);
    } catch (error) {
      const { outcomeUnknown, code, message } = /** @type {import('axle').AxleError} */ (error);
      if (op === 'append' && outcomeUnknown) unknown += 1;
      else failed.push(`${op}: ${code}: ${message}`);
    }
  }
}

const callers = /** @type {(keyof typeof answered)[]} */ (ops.split(',')).flatMap((op) =>
  Array.from({ length: callersOfEach }, (_, first) => callAgainAndAgain(op, first)),
);

process.on('message', (message) => {
  if (message === 'stop') void stop();
  else if (message === 'forget') Object.assign(longestMs, { append: 0, reverse: 0, compress: 0 });
  else process.send?.({ answered, wrong, unknown, failed, longestMs });
});
process.send?.('calling');

async function stop() {
  isOver = true;
  await Promise.all(callers);
  process.send?.({ answered, wrong, unknown, failed, longestMs });
  await client.close();
  process.disconnect();
}
