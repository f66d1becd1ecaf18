import {
  otherLabel,
  type CallObserver,
  type CallReport,
  type Model,
  type ObservedCall,
} from '@axle/core/internal';

import { failureReason, failureReasons, type FailureReason } from './failure-reason.js';

/** Versions of models that are told apart; further ones are counted together. */
export const modelLabelsMax = 256;
const usPerMs = 1000;

/** What happened to calls of one version of a model since the server began; times in microseconds. */
export class ModelCount {
  successes = 0;
  /** Items of those that succeeded: a call with a batch has as many. */
  items = 0;
  /** Runs on a device: calls that were computed together are one. */
  executions = 0;
  /** Begun and not ended, by the content of the model: two of them may have the same name and version. */
  readonly underWay = new Map<string, number>();
  requestUs = 0;
  queueUs = 0;
  transferUs = 0;
  computeUs = 0;
  readonly failures = Object.fromEntries(failureReasons.map((reason) => [reason, 0])) as Record<
    FailureReason,
    number
  >;

  constructor(
    readonly name: string,
    readonly version: string,
  ) {}
}

/** Counts the calls of models, through whichever door they came. A call that two tenants make of one name is one name's. */
export class ModelCounts implements CallObserver {
  private readonly counts = new Map<string, ModelCount>();
  private readonly ofModel = new WeakMap<Model, ModelCount>();
  private others: ModelCount | undefined;

  get all(): readonly ModelCount[] {
    return [...this.counts.values(), ...(this.others === undefined ? [] : [this.others])];
  }

  began({ model }: ObservedCall): void {
    if (model !== undefined) addUnderWay(this.countOf(model), model, 1);
  }

  succeeded(call: ObservedCall, report: CallReport): void {
    const { model } = call;
    if (model === undefined) return;
    const count = this.countOf(model);
    const { queue, transfer, compute, total } = report.timingMs;
    addUnderWay(count, model, -1);
    count.successes += 1;
    count.items += itemsOf(call, model);
    count.executions += 1 / batchSizeOf(call, report);
    count.requestUs += total * usPerMs;
    count.queueUs += queue * usPerMs;
    count.transferUs += transfer * usPerMs;
    count.computeUs += compute * usPerMs;
  }

  failed({ model }: ObservedCall, reason: unknown): void {
    if (model === undefined) return;
    const count = this.countOf(model);
    addUnderWay(count, model, -1);
    count.failures[failureReason(reason)] += 1;
  }

  refused(model: Model, reason: unknown): void {
    this.countOf(model).failures[failureReason(reason)] += 1;
  }

  /**
   * Of each count, how many of its calls wait for a device.
   *
   * @param waiting tasks that do, by the content of their models
   */
  pending(waiting: ReadonlyMap<string, number>): ReadonlyMap<ModelCount, number> {
    const left = new Map(waiting);
    const pending = new Map<ModelCount, number>();
    for (const count of this.all) {
      let sum = 0;
      for (const [content, underWay] of count.underWay) {
        // Warm-ups and the like wait as well, and several names may have one content.
        const its = Math.min(left.get(content) ?? 0, underWay);
        left.set(content, (left.get(content) ?? 0) - its);
        sum += its;
      }
      pending.set(count, sum);
    }
    return pending;
  }

  private countOf(model: Model): ModelCount {
    const known = this.ofModel.get(model);
    if (known !== undefined) return known;
    const count = this.namedCount(model);
    this.ofModel.set(model, count);
    return count;
  }

  private namedCount({ name, version }: Model): ModelCount {
    const key = JSON.stringify([name, version]);
    const known = this.counts.get(key);
    if (known !== undefined) return known;
    if (this.counts.size >= modelLabelsMax) {
      return (this.others ??= new ModelCount(otherLabel, ''));
    }
    const count = new ModelCount(name, version);
    this.counts.set(key, count);
    return count;
  }
}

function addUnderWay({ underWay }: ModelCount, { source }: Model, change: 1 | -1): void {
  const { contentId } = source;
  const now = (underWay.get(contentId) ?? 0) + change;
  if (now > 0) underWay.set(contentId, now);
  else underWay.delete(contentId);
}

/** An image that is classified is one, whatever the shape of its bytes. */
function itemsOf({ chain, inputs }: ObservedCall, { maxBatchSize }: Model): number {
  if (chain.steps[0]?.name !== 'infer' || maxBatchSize === 0) return 1;
  return inputs[0]?.tensor.shape[0] ?? 1;
}

/** Of the task that did the main work. */
function batchSizeOf({ chain }: ObservedCall, { steps, device }: CallReport): number {
  const main = chain.steps[chain.main]?.name;
  const step =
    steps.find((each) => each.step === main) ??
    steps.find((each) => each.device === device && each.step.includes('..')) ??
    steps[0];
  return Math.max(1, step?.batchSize ?? 1);
}
