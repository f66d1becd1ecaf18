import type { CallReport } from '@axle/core/internal';

import type { ServedModel } from '../../server/models/server-models.js';

/** Models of tenants that are counted; for one more, the one called longest ago is forgotten. */
const countedMax = 4096;
/** Sizes of batches that are told apart. */
const batchSizesMax = 256;
const nsPerMs = 1e6;

/** How often something was, and how long it took together. */
export interface Duration {
  readonly count: number;
  readonly ns: number;
}

/** Calls of one model by one tenant, through the standard doors. */
export interface CountedModel {
  readonly name: string;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly lastInference: number;
  /** Items: a call with a batch has as many. */
  readonly inferenceCount: number;
  /** Runs on a device: calls that were computed together are one. */
  readonly executionCount: number;
  readonly success: Duration;
  readonly fail: Duration;
  readonly queue: Duration;
  readonly computeInput: Duration;
  readonly computeInfer: Duration;
  /** By how many items were computed together, rising. */
  readonly batches: readonly CountedBatches[];
}

/** Runs of so many items together. */
export interface CountedBatches {
  readonly batchSize: number;
  readonly computeInput: Duration;
  readonly computeInfer: Duration;
}

class Tally {
  count = 0;
  ns = 0;

  add(ms: number, count = 1): void {
    this.count += count;
    this.ns += ms * nsPerMs;
  }

  get duration(): Duration {
    return { count: wholeOf(this.count), ns: Math.round(this.ns) };
  }
}

/** Of parts of runs: a run of which this tenant had a small part was one. */
function wholeOf(count: number): number {
  return count > 0 ? Math.max(1, Math.round(count)) : 0;
}

class Counts {
  /** Higher = later. */
  usedAt = 0;
  lastInference = 0;
  inferenceCount = 0;
  readonly success = new Tally();
  readonly fail = new Tally();
  readonly queue = new Tally();
  readonly computeInput = new Tally();
  readonly computeInfer = new Tally();
  readonly batches = new Map<number, { readonly input: Tally; readonly infer: Tally }>();
  private executions = 0;

  constructor(
    readonly tenant: string,
    readonly name: string,
    readonly version: string,
  ) {}

  /**
   * A call that shared its run with others has its part of it. These are taken to have had as many items as it has: devices
   * tell how many calls ran together, and not what of.
   */
  ran(calls: number, items: number, transferMs: number, computeMs: number): void {
    this.executions += 1 / calls;
    const batchSize = calls * items;
    const known = this.batches.get(batchSize);
    if (known === undefined && this.batches.size >= batchSizesMax) return;
    const tallies = known ?? { input: new Tally(), infer: new Tally() };
    this.batches.set(batchSize, tallies);
    tallies.input.add(transferMs / calls, 1 / calls);
    tallies.infer.add(computeMs / calls, 1 / calls);
  }

  get counted(): CountedModel {
    const { name, version, lastInference, inferenceCount, executions, batches } = this;
    const sizes = [...batches].sort(([a], [b]) => a - b);
    return {
      name,
      version,
      lastInference,
      inferenceCount,
      executionCount: wholeOf(executions),
      success: this.success.duration,
      fail: this.fail.duration,
      queue: this.queue.duration,
      computeInput: this.computeInput.duration,
      computeInfer: this.computeInfer.duration,
      batches: sizes.map(([batchSize, { input, infer }]) => ({
        batchSize,
        computeInput: input.duration,
        computeInfer: infer.duration,
      })),
    };
  }
}

/** What tenants called through the standard doors since the server began. Each sees its own. */
export class ModelStatistics {
  private readonly byKey = new Map<string, Counts>();
  private uses = 0;

  /** @param now milliseconds since 1970 */
  constructor(private readonly now: () => number) {}

  succeeded(tenant: string, model: ServedModel, items: number, report: CallReport): void {
    const counts = this.countsOf(tenant, model);
    const { queue, transfer, compute, total } = report.timingMs;
    counts.lastInference = this.now();
    counts.inferenceCount += items;
    counts.success.add(total);
    counts.queue.add(queue);
    counts.computeInput.add(transfer);
    counts.computeInfer.add(compute);
    counts.ran(Math.max(1, report.steps[0]?.batchSize ?? 1), items, transfer, compute);
  }

  failed(tenant: string, model: ServedModel, ms: number): void {
    this.countsOf(tenant, model).fail.add(ms);
  }

  /** Those that the tenant has called, by name and version. '' stands for any. */
  of(tenant: string, name: string, version: string): CountedModel[] {
    return [...this.byKey.values()]
      .filter((counts) => counts.tenant === tenant)
      .filter((counts) => name === '' || counts.name === name)
      .filter((counts) => version === '' || counts.version === version)
      .map(({ counted }) => counted)
      .sort((a, b) =>
        a.name === b.name ? Number(a.version) - Number(b.version) : a.name < b.name ? -1 : 1,
      );
  }

  /** Of a model that was not called. */
  none({ name, version }: ServedModel): CountedModel {
    return new Counts('', name, version).counted;
  }

  private countsOf(tenant: string, { name, version }: ServedModel): Counts {
    const key = `${tenant}\0${name}\0${version}`;
    const known = this.byKey.get(key);
    const counts = known ?? new Counts(tenant, name, version);
    counts.usedAt = ++this.uses;
    if (known !== undefined) return known;
    if (this.byKey.size >= countedMax) this.forgetOldest();
    this.byKey.set(key, counts);
    return counts;
  }

  private forgetOldest(): void {
    let [oldest, usedAt] = ['', Infinity];
    for (const [key, counts] of this.byKey) {
      if (counts.usedAt < usedAt) [oldest, usedAt] = [key, counts.usedAt];
    }
    this.byKey.delete(oldest);
  }
}
