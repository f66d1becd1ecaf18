import type { Device, TaskTiming } from '../backend.js';
import type { Model } from '../models/model.js';
import type { OpRange } from '../op.js';
import type { Segment } from './router.js';

/** Weight of the newest measurement in the moving average. */
const newestWeight = 0.1;
/** Guess for what was never measured, and the cost of one more hop; milliseconds. */
const unknownMs = 1;
const hopMs = 0.05;
/** Guess for loading a model that is not on the device yet, milliseconds. */
const modelLoadMs = 50;

/** What core knows of the devices' load and of where models are. */
export interface LoadView {
  /** Tasks that wait or run on the device. */
  load(device: Device): number;
  hasModel(device: Device, model: Model): boolean;
}

/** Expected time of a plan, from what its parts took before: queue + transfer + compute, each device's own. */
export class CostModel {
  private readonly taskMs = new Map<string, number>();
  /** What a task with the model took last, whatever steps it had besides: the guess for other steps with it. */
  private readonly modelMs = new Map<string, number>();

  constructor(private readonly view: LoadView) {}

  observe(device: Device, range: OpRange, model: Model | undefined, timing: TaskTiming): void {
    const key = keyOf(device, range, model);
    const taken = (timing.transferMs + timing.computeMs) / timing.batchSize;
    const before = this.taskMs.get(key);
    this.taskMs.set(key, before === undefined ? taken : before + newestWeight * (taken - before));
    if (model !== undefined) this.modelMs.set(modelKeyOf(device, model), taken);
  }

  planMs(segments: readonly Segment[], model: Model | undefined): number {
    return segments.reduce((sum, segment) => sum + this.segmentCost(segment, model).totalMs, 0);
  }

  segmentCost({ device, range, usesModel }: Segment, chainModel: Model | undefined): SegmentCost {
    const model = usesModel ? chainModel : undefined;
    const measuredMs = this.taskMs.get(keyOf(device, range, model));
    const guessMs = model && this.modelMs.get(modelKeyOf(device, model));
    const taskMs = measuredMs ?? guessMs ?? unknownMs;
    const queueMs = (this.view.load(device) / device.parallel) * taskMs;
    const loadMs = model === undefined || this.view.hasModel(device, model) ? 0 : modelLoadMs;
    const totalMs = hopMs + queueMs + taskMs + loadMs;
    return { measured: measuredMs !== undefined, queueMs, taskMs, loadMs, totalMs };
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

function modelKeyOf(device: Device, model: Model): string {
  return `${device.id} ${model.source.contentId}`;
}

function keyOf(device: Device, { op, first, last }: OpRange, model: Model | undefined): string {
  return `${device.id} ${op}.${first}.${last} ${model?.source.contentId ?? ''}`;
}
