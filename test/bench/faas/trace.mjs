/** @import { SeededRandom } from '@axle/cli/load' */

/**
 * Calls in the shape that public traces of serverless platforms have (Shahrad et al., "Serverless in the Wild", USENIX
 * ATC 2020): few functions get most calls, and the calls of one come in bursts with long rests between them.
 *
 * @param {object} shape
 * @param {number} shape.functions
 * @param {number} shape.seconds
 * @param {number} shape.callsPerSecond of all together, on average
 * @param {SeededRandom} shape.random
 * @returns {{ atMs: number, index: number }[]} in their order; index is that of the function
 */
export function trace({ functions, seconds, callsPerSecond, random }) {
  // Zipf's law with exponent 1.
  const weights = Array.from({ length: functions }, (_, rank) => 1 / (rank + 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const calls = weights.flatMap((weight, index) => {
    const share = (callsPerSecond * weight) / total;
    return bursts(share, seconds, random).map((atMs) => ({ atMs, index }));
  });
  return calls.sort((a, b) => a.atMs - b.atMs);
}

/** Calls of a burst are so many on average, and come so much faster than on average. */
const burstCalls = 8;
const burstFactor = 20;

/**
 * @param {number} perSecond on average
 * @param {number} seconds
 * @param {SeededRandom} random
 */
function bursts(perSecond, seconds, random) {
  const times = [];
  const gapMs = 1000 / perSecond;
  for (let atMs = exponential(random, gapMs * burstCalls); atMs < seconds * 1000;) {
    const size = 1 + Math.floor(exponential(random, burstCalls - 1));
    for (let i = 0; i < size && atMs < seconds * 1000; i++) {
      times.push(atMs);
      atMs += exponential(random, gapMs / burstFactor);
    }
    atMs += exponential(random, gapMs * burstCalls);
  }
  return times;
}

/**
 * @param {SeededRandom} random
 * @param {number} mean
 */
function exponential(random, mean) {
  return -Math.log(1 - random.next()) * mean;
}
