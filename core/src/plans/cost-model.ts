import type { Device, TaskTiming } from '../backend.js';
import { LruMap } from '../lru-map.js';
import type { Model } from '../models/model.js';
import type { OpRange } from '../op.js';
import { LatencyProfile } from '../scheduling/latency-profile.js';
import type { Segment } from './router.js';

/**
 * Guess for what was never measured on a device that is no better at it than software, milliseconds; less where the device
 * says that it is better.
 */
const unknownMs = 1;
/** Of one more task, milliseconds. */
const hopMs = 0.05;
/**
 * Kinds of tasks, and models on devices, that are remembered. A plan that was made before its kind was forgotten keeps
 * what it knows to itself.
 */
export const costEntriesMax = 4096;
/** Calls after which a device that was slower is tried again. */
const retryAfterLeast = 16;
const retryAfterMost = 1024;
/** Guess for loading a model that is not on the device yet, milliseconds. */
const modelLoadMs = 50;

/** What core knows of the devices' load and of where models are. */
export interface LoadView {
  /** Tasks that wait or run on the device. */
  load(device: Device): number;
  hasModel(device: Device, model: Model): boolean;
}

/** What tasks of one kind took on a device: transfer + compute of one task, milliseconds. */
export interface CostEntry {
  /** By the bytes of the task's inputs. */
  bySize: LatencyProfile;
  /** What a task with the model took last on the device, whatever steps it had besides: the guess for others with it. */
  readonly model: { lastMs: number | undefined };
  /** Calls that went elsewhere since it was last tried, and after how many it is tried again. */
  passedOver: number;
  /** The next measurement is to count alone. */
  isStale: boolean;
  retryAfter: number;
}

/** Expected time of a plan, from what its parts took before: queue + transfer + compute, by device and by size. */
export class CostModel {
  private readonly entries = new LruMap<string, CostEntry>(costEntriesMax);
  private readonly models = new LruMap<string, CostEntry['model']>(costEntriesMax);

  constructor(private readonly view: LoadView) {}

  /** The entry that tasks of this kind share. */
  entryOf(device: Device, range: OpRange, model: Model | undefined): CostEntry {
    const key = keyOf(device, range, model);
    // Marks the model as used too: its kinds of tasks must not outlive what they share.
    const ofModel = this.modelEntryOf(device, model);
    let entry = this.entries.get(key);
    if (entry === undefined) {
      entry = {
        bySize: new LatencyProfile(),
        model: ofModel,
        passedOver: 0,
        isStale: false,
        retryAfter: retryAfterLeast,
      };
      this.entries.set(key, entry);
    }
    return entry;
  }

  observe(entry: CostEntry, bytes: number, { transferMs, computeMs, batchSize }: TaskTiming): void {
    const taken = (transferMs + computeMs) / batchSize;
    if (entry.isStale) entry.bySize = new LatencyProfile();
    entry.isStale = false;
    entry.bySize.observe(bytes, taken);
    entry.model.lastMs = taken;
  }

  /**
   * @param bytes of the inputs of the call, by which also later steps are learned; undefined = of a call as they were on
   * average.
   */
  planMs(
    segments: readonly Segment[],
    model: Model | undefined,
    bytes: number | undefined,
  ): number {
    let sum = 0;
    for (const segment of segments) sum += this.segmentCost(segment, model, bytes).totalMs;
    return sum;
  }

  /** All of it has run before: its cost is no guess. */
  isMeasured(segments: readonly Segment[]): boolean {
    return segments.every(({ cost }) => cost.bySize.count > 0);
  }

  /**
   * Counts a call that went elsewhere.
   *
   * @returns whether it is time to look whether that still is right: again and again, but less and less often.
   */
  passOver(entry: CostEntry): boolean {
    entry.passedOver += 1;
    if (entry.passedOver < entry.retryAfter) return false;
    entry.passedOver = 0;
    entry.isStale = true;
    entry.retryAfter = Math.min(2 * entry.retryAfter, retryAfterMost);
    return true;
  }

  segmentCost(
    { device, score, usesModel, cost }: Segment,
    chainModel: Model | undefined,
    bytes: number | undefined,
  ): SegmentCost {
    const model = usesModel ? chainModel : undefined;
    const measured = cost.bySize.count > 0;
    const guessMs = model === undefined ? undefined : cost.model.lastMs;
    const taskMs = measured ? cost.bySize.expectedWithinMs(bytes) : (guessMs ?? unknownMs / score);
    const queueMs = (this.view.load(device) / device.parallel) * taskMs;
    const loadMs = model === undefined || this.view.hasModel(device, model) ? 0 : modelLoadMs;
    const totalMs = hopMs + queueMs + taskMs + loadMs;
    return { measured, queueMs, taskMs, loadMs, totalMs };
  }

  private modelEntryOf(device: Device, model: Model | undefined): CostEntry['model'] {
    const key = model === undefined ? '' : `${device.id} ${model.source.contentId}`;
    let entry = this.models.get(key);
    if (entry === undefined || model === undefined) {
      entry = { lastMs: undefined };
      if (model !== undefined) this.models.set(key, entry);
    }
    return entry;
  }
}

/** What one task of a plan is expected to take, milliseconds. */
export interface SegmentCost {
  /** False: never run before, so that `taskMs` is a guess. */
  readonly measured: boolean;
  /** For what waits on the device now. */
  readonly queueMs: number;
  /** Transfer and compute. */
  readonly taskMs: number;
  /** For a model that is not on the device yet. */
  readonly loadMs: number;
  readonly totalMs: number;
}

function keyOf(
  device: Device,
  { name, op, version, first, last }: OpRange,
  model: Model | undefined,
): string {
  return `${device.id} ${name}${op}.${version}.${first}.${last} ${model?.source.contentId ?? ''}`;
}
