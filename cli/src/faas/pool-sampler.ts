import { MetricsDoor } from '../top/metrics-door.js';
import type { Samples } from '../top/prometheus-text.js';
import { sampleBetween, type TopSample } from '../top/top-sample.js';

const msPerSecond = 1000;
const answerMsMax = 5000;

/** Looks at the metrics of a pool, for whoever shows them: what happened since it last looked. */
export class PoolSampler {
  private before: Samples | undefined;
  private askedAt = 0;

  private constructor(private readonly door: MetricsDoor) {}

  /** @throws as `MetricsDoor.open` */
  static async open(url: string): Promise<PoolSampler> {
    return new PoolSampler(await MetricsDoor.open(url));
  }

  /** @throws as `MetricsDoor.read` */
  async sample(): Promise<TopSample> {
    const after = await this.door.read(AbortSignal.timeout(answerMsMax));
    const now = performance.now();
    const seconds = (now - this.askedAt) / msPerSecond;
    const sample = sampleBetween(this.before ?? after, after, seconds, new Date());
    this.before = after;
    this.askedAt = now;
    return sample;
  }

  close(): void {
    this.door.close();
  }
}
