const firstMs = 1000;
const longestMs = 300_000;

/**
 * How long to wait after so many tries in vain, from 1: twice as long each time, up to five minutes, and half of it by
 * chance, so that what failed together does not come back together.
 */
export function backOffMs(attempts: number, random: () => number = Math.random): number {
  const whole = Math.min(firstMs * 2 ** (attempts - 1), longestMs);
  return whole / 2 + (whole / 2) * random();
}
