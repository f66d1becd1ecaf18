import type { Tally } from './tally.js';

/** Measurements that have to agree. */
export const stableCount = 3;

/**
 * Whether the last three measurements agree, in throughput and in latency, each largest within `percent` of its smallest.
 *
 * @param latencyOf milliseconds
 */
export function isStable(
  tallies: readonly Tally[],
  percent: number,
  latencyOf: (tally: Tally) => number,
): boolean {
  if (tallies.length < stableCount) return false;
  const last = tallies.slice(-stableCount);
  const agree = (values: readonly number[]) =>
    Math.max(...values) <= Math.min(...values) * (1 + percent / 100);
  // NaN, of a measurement in which nothing ended, agrees with nothing.
  return agree(last.map((tally) => tally.requestsPerSecond)) && agree(last.map(latencyOf));
}
