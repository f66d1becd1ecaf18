// node load-client.mjs URL: for each line `IN_FLIGHT SECONDS` keeps that many calls in flight for so long, and prints
// `CALLS_PER_SECOND P50_US`.
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';

import { median } from '../row.mjs';

const [url = ''] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true });

console.log('ready');
for await (const line of createInterface(process.stdin)) {
  const [inFlight = 1, seconds = 1] = line.split(' ').map(Number);
  const { perSecond, p50Us } = await load(inFlight, seconds * 1000);
  console.log(`${perSecond} ${p50Us}`);
}
process.exit();

/**
 * @param {number} inFlight
 * @param {number} forMs
 */
async function load(inFlight, forMs) {
  const latenciesUs = /** @type {number[]} */ ([]);
  const startedAt = performance.now();
  const until = startedAt + forMs;
  const caller = async () => {
    for (;;) {
      const sentAt = performance.now();
      if (sentAt > until) return;
      await call();
      latenciesUs.push((performance.now() - sentAt) * 1000);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  const perSecond = (latenciesUs.length * 1000) / (performance.now() - startedAt);
  return { perSecond, p50Us: median(latenciesUs) };
}

/** @returns {Promise<void>} */
function call() {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent }, (response) => {
      response.resume();
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`status ${response.statusCode ?? 0}`));
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}
