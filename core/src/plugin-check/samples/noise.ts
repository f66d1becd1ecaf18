/** Numbers from 0 to below 1 that look random, always the same for a seed. */
export function noise(count: number, seed: number): number[] {
  let state = (Math.imul(seed, 2654435761) + 12345) >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  });
}
