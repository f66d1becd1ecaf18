// npm run soak [-- CALLS]: what client and server hold, and their heap, over a million calls.
import { memoryUsage } from 'node:process';

import { soak } from './soak.mjs';

const MiB = 1024 * 1024;
/** Growth of the heap between the second look, when all is warm, and the last. */
const growthMax = 4 * MiB;

const calls = Number(process.argv[2] ?? 1_000_000);
/** @type {number[]} */
const heaps = [];
const { effects, connections } = await soak({
  calls,
  cutEvery: 10_000,
  lookEvery: Math.max(1, Math.floor(calls / 20)),
  look: (held) => {
    globalThis.gc?.();
    const { heapUsed, external, rss } = memoryUsage();
    heaps.push(heapUsed);
    const memory = [heapUsed, external, rss].map((bytes) => `${(bytes / MiB).toFixed(1)} MiB`);
    console.log(`${JSON.stringify(held)} heap, external, rss: ${memory.join(', ')}`);
  },
});
const growth = (heaps.at(-1) ?? 0) - (heaps[1] ?? 0);
console.log(`${effects} effects, ${connections} connections, the heap grew by ${growth} bytes`);
if (effects !== Math.floor(calls / 10) || growth > growthMax) process.exitCode = 1;
