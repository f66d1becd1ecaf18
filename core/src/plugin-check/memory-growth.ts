/** Windows of rounds of work: caches and pools fill up in the first; what is lost grows in every one after it. */
const windows = 3;
const roundsPerWindow = 20;

/**
 * Bytes that every window of 20 rounds of `work` leaves behind, at least.
 *
 * A process holds memory for a while for reasons of its own, so what grows in one window alone is not counted.
 */
export async function growthOf(work: () => Promise<void>): Promise<number> {
  let before = await afterWindow(work);
  let least = Infinity;
  for (let i = 0; i < windows; i++) {
    const after = await afterWindow(work);
    least = Math.min(least, after - before);
    before = after;
  }
  return Math.max(least, 0);
}

async function afterWindow(work: () => Promise<void>): Promise<number> {
  for (let i = 0; i < roundsPerWindow; i++) await work();
  return nativeBytes();
}

/** Resident memory that is not JavaScript's. */
function nativeBytes(): number {
  globalThis.gc?.();
  const { rss, heapTotal, external } = process.memoryUsage();
  return rss - heapTotal - external;
}
