/**
 * As Prometheus's histogram_quantile: even within a bucket; of the last one, its lower bound.
 *
 * @param buckets upper bounds, rising to Infinity, each with how many were at most that
 * @param quantile 0..1
 * @returns null of nothing
 */
export function percentile(
  buckets: readonly (readonly [bound: number, count: number])[],
  quantile: number,
): number | null {
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total <= 0) return null;
  const rank = quantile * total;
  let [below, lower] = [0, 0];
  for (const [bound, count] of buckets) {
    if (count >= rank && count > below) {
      if (bound === Infinity) return lower;
      return lower + ((bound - lower) * (rank - below)) / (count - below);
    }
    [below, lower] = [count, bound];
  }
  return lower;
}
