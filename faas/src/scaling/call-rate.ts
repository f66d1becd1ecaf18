const bucketMs = 1000;
const buckets = 5;

/** Over which calls are counted, milliseconds. */
export const rateWindowMs = bucketMs * buckets;

/** Calls a second, over the last seconds. */
export class CallRate {
  private readonly counts = new Array<number>(buckets).fill(0);
  private bucket = -Infinity;

  count(now: number): void {
    this.advance(now);
    const at = this.bucket % buckets;
    this.counts[at] = (this.counts[at] as number) + 1;
  }

  perSecond(now: number): number {
    this.advance(now);
    return this.counts.reduce((sum, count) => sum + count, 0) / (rateWindowMs / 1000);
  }

  private advance(now: number): void {
    const bucket = Math.floor(now / bucketMs);
    if (bucket <= this.bucket) return;
    if (bucket - this.bucket >= buckets) this.counts.fill(0);
    else for (let at = this.bucket + 1; at <= bucket; at++) this.counts[at % buckets] = 0;
    this.bucket = bucket;
  }
}
