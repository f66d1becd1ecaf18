import { createHistogram } from 'node:perf_hooks';

const nsPerMs = 1e6;
/** An hour: what took longer counts as that. */
const highestNs = 3600 * 1000 * nsPerMs;
/** Significant digits of every value. */
const figures = 3;

/** Any number of durations in memory that does not grow: Node's own HDR histogram. */
export class LatencyHistogram {
  private readonly ns = createHistogram({ lowest: 1, highest: highestNs, figures });

  record(ms: number): void {
    this.ns.record(Math.min(highestNs, Math.max(1, Math.round(ms * nsPerMs))));
  }

  add(other: LatencyHistogram): void {
    this.ns.add(other.ns);
  }

  get count(): number {
    return this.ns.count;
  }

  /** Milliseconds, as all that follow; NaN of none. */
  get mean(): number {
    return this.count === 0 ? NaN : this.ns.mean / nsPerMs;
  }

  get min(): number {
    return this.count === 0 ? NaN : this.ns.min / nsPerMs;
  }

  get max(): number {
    return this.count === 0 ? NaN : this.ns.max / nsPerMs;
  }

  /** @param percent over 0, up to 100 */
  percentile(percent: number): number {
    return this.count === 0 ? NaN : this.ns.percentile(percent) / nsPerMs;
  }
}
