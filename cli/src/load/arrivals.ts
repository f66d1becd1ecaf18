import type { SeededRandom } from './seeded-random.js';

/** Gives the time from one arrival to the next, milliseconds. */
export type Gaps = () => number;

const msPerSecond = 1000;

export function constantGaps(perSecond: number): Gaps {
  const gapMs = msPerSecond / perSecond;
  return () => gapMs;
}

/** A Poisson process: arrivals that know nothing of each other, so gaps are exponential. */
export function poissonGaps(perSecond: number, random: SeededRandom): Gaps {
  const meanMs = msPerSecond / perSecond;
  return () => -meanMs * Math.log(1 - random.next());
}
