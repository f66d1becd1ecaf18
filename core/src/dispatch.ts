import type { LoadedModel, NamedTensor } from './backend.js';
import type { Cancellation } from './cancellation.js';
import type { Clock, DeviceQueue, QueuedResult, QueuedTask } from './device-queue.js';
import { AxleError, messageOf } from './errors.js';
import type { Model } from './models/model.js';
import type { ModelStore } from './models/model-store.js';
import { argsKey, hasFlag } from './op.js';
import type { Chain, ChainStep } from './plans/chain.js';
import { stepLabel } from './plans/chain.js';
import type { CircuitBreaker } from './plans/circuit-breaker.js';
import type { CostModel } from './plans/cost-model.js';
import {
  mainSegment,
  type Plan,
  type Preference,
  type Router,
  type Segment,
} from './plans/router.js';
import type { CallReport, FailedAttempt, StepReport } from './results.js';
import { publishingTask, type TaskName } from './task-channel.js';

/** One call as dispatch takes it: validated, its inputs in memory. */
export interface Call {
  readonly chain: Chain;
  readonly model: Model | undefined;
  readonly inputs: readonly NamedTensor[];
  readonly outputBytesMax: number;
  readonly preference: Preference;
  readonly priority: number;
  readonly deadlineAt: number | undefined;
  readonly tenant: string;
  readonly cancellation: Cancellation;
  /** When the caller made the call, on the runtime's clock. */
  readonly startedAt: number;
}

export interface CallOutcome {
  readonly outputs: readonly NamedTensor[];
  readonly report: CallReport;
}

/** After a failure with one of these another device may do better; any other would fail there too. */
const fallbackCodes = new Set([
  'UNAVAILABLE',
  'INTERNAL',
  'UNIMPLEMENTED',
  'UNKNOWN',
  'RESOURCE_EXHAUSTED',
]);

/** Executes calls: takes the router's plans in order until one gives a result. */
export class Dispatch {
  constructor(
    private readonly router: Router,
    private readonly costs: CostModel,
    private readonly breaker: CircuitBreaker,
    private readonly models: ModelStore,
    private readonly queueOf: (segment: Segment) => DeviceQueue,
    private readonly clock: Clock,
  ) {}

  /** @throws AxleError of the last plan tried; the cancellation's reason. */
  async run(call: Call): Promise<CallOutcome> {
    const failed: FailedAttempt[] = [];
    const plans = this.router.plans(call.chain, call.model, call.preference);
    for (const [i, plan] of plans.entries()) {
      call.cancellation.check();
      try {
        return await this.runPlan(plan, call, failed);
      } catch (error) {
        const last = i === plans.length - 1 || call.preference.strict;
        if (last || !(error instanceof AxleError) || !fallbackCodes.has(error.code)) throw error;
        const devices = plan.segments.map(({ device }) => device.id);
        failed.push({ devices, code: error.code, message: messageOf(error) });
      }
    }
    throw new AxleError('INTERNAL', 'the router gave no plan');
  }

  /** Loads the model where its first call would run. */
  async prefetch(call: Omit<Call, 'inputs'>): Promise<void> {
    const [plan] = this.router.plans(call.chain, call.model, call.preference);
    for (const segment of plan?.segments ?? []) {
      if (segment.usesModel) await call.cancellation.race(this.loadedModel(segment, call.model));
    }
  }

  private async runPlan(
    plan: Plan,
    call: Call,
    fallbacks: readonly FailedAttempt[],
  ): Promise<CallOutcome> {
    const { chain } = call;
    const steps: StepReport[] = [];
    let values = call.inputs;
    for (const segment of plan.segments) {
      const adapt = (chain.steps[segment.first] as ChainStep).adapt;
      const inputs = adapt === undefined || segment.first === 0 ? values : adapt(values);
      const { result, outputs } = await this.runSegment(segment, call, inputs);
      values = outputs;
      steps.push(stepReport(chain, segment, result));
    }
    const total = this.clock() - call.startedAt;
    const device = mainSegment(chain, plan).device.id;
    return {
      outputs: values,
      report: { device, steps, timingMs: { ...sumTiming(steps), total }, fallbacks },
    };
  }

  private async runSegment(
    segment: Segment,
    call: Call,
    inputs: readonly NamedTensor[],
  ): Promise<{ result: QueuedResult; outputs: readonly NamedTensor[] }> {
    const model = segment.usesModel
      ? (this.findModel(segment, call.model) ??
        (await call.cancellation.race(this.loadedModel(segment, call.model))))
      : undefined;
    this.breaker.entering(segment.device);
    const result = await this.enqueue(segment, call, model, inputs);
    const { outcome } = result;
    if (!outcome.ok) {
      this.breaker.failed(segment.device, outcome.error);
      throw outcome.error;
    }
    this.breaker.succeeded(segment.device);
    this.costs.observe(
      segment.device,
      segment.range,
      segment.usesModel ? call.model : undefined,
      outcome.timing,
    );
    return { result, outputs: outcome.outputs };
  }

  private findModel(segment: Segment, model: Model | undefined): LoadedModel | undefined {
    return model === undefined ? undefined : this.models.find(segment.device, model);
  }

  private async loadedModel(segment: Segment, model: Model | undefined): Promise<LoadedModel> {
    if (model === undefined) throw new AxleError('INTERNAL', 'a step needs a model but has none');
    return this.models.load(segment.backend, segment.device, model);
  }

  /** Settles when the task does, or with the reason as soon as the call is cancelled. */
  private async enqueue(
    segment: Segment,
    call: Call,
    model: LoadedModel | undefined,
    inputs: readonly NamedTensor[],
  ): Promise<QueuedResult> {
    call.cancellation.check();
    const task = toTask(segment, call, model, inputs);
    return new Promise((resolve, reject) => {
      // In this order, so that the caller gets its own reason before the task settles as cancelled.
      call.cancellation.subscribe(reject);
      const done = publishingTask(resolve, () => taskName(segment, call));
      call.cancellation.subscribe(this.queueOf(segment).add(task, done));
    });
  }
}

function taskName(segment: Segment, { chain, model, tenant }: Call): TaskName {
  return {
    op: chain.op,
    step: stepLabel(chain, segment.first, segment.last),
    device: segment.device.id,
    model: segment.usesModel ? model?.name : undefined,
    tenant,
  };
}

function toTask(
  segment: Segment,
  call: Call,
  model: LoadedModel | undefined,
  inputs: readonly NamedTensor[],
): QueuedTask {
  const { range, args, flags } = segment;
  return {
    range,
    args,
    model,
    inputs,
    outputBytesMax: call.outputBytesMax,
    deadlineAt: call.deadlineAt,
    priority: call.priority,
    tenant: call.tenant,
    repeatable: hasFlag(flags, 'PURE') || hasFlag(flags, 'IDEMPOTENT'),
    ...batchingOf(segment, call, inputs),
  };
}

/** Most tasks of one submit, as in plugin.h. */
const submitMax = 1024;

type Batching = Pick<QueuedTask, 'batchKey' | 'items' | 'batchItemsMax' | 'batchDelayMs'>;

const alone: Batching = { batchKey: undefined, items: 1, batchItemsMax: 1, batchDelayMs: 0 };

/** With whom a task may be computed, and how long it may wait for them. */
function batchingOf(segment: Segment, call: Call, inputs: readonly NamedTensor[]): Batching {
  const { flags, batchMax, range } = segment;
  if (!hasFlag(flags, 'BATCHABLE')) return alone;
  if (range.name !== '') {
    // A custom op says by the flag alone that its tasks are independent.
    const batchKey = batchKeyOf(segment, call, inputs, 1);
    return { ...alone, batchKey, batchItemsMax: batchMax || submitMax };
  }
  const batching = segment.usesModel ? call.model?.dynamicBatching : undefined;
  if (batching === undefined) return alone;
  const image = takesImage(segment, call);
  return {
    batchKey: batchKeyOf(segment, call, inputs, image ? 2 : 1),
    items: image ? 1 : (inputs[0]?.tensor.shape[0] ?? 1),
    batchItemsMax: Math.min(call.model?.maxBatchSize ?? 1, batchMax || Infinity),
    batchDelayMs: batching.maxQueueDelayMs,
  };
}

/** Whether a segment begins with one image, encoded or as [height, width, channels], instead of a batch. */
function takesImage(segment: Segment, { chain }: Call): boolean {
  const step = chain.steps[segment.first]?.name;
  return step === 'decode' || step === 'preprocess';
}

/**
 * Equal for tasks that may be computed together: same model and arguments, and inputs that differ in their first
 * `free` dimensions only.
 */
function batchKeyOf(
  segment: Segment,
  call: Call,
  inputs: readonly NamedTensor[],
  free: number,
): string {
  const { op, first, last } = segment.range;
  const shapes = inputs.map(
    ({ name, tensor }) => `${name}:${tensor.dtype}[${tensor.shape.slice(free).join(',')}]`,
  );
  return `${op}.${first}.${last} ${call.model?.source.contentId ?? ''} ${argsKey(segment.args)} ${shapes.join(' ')}`;
}

function stepReport(
  chain: Chain,
  segment: Segment,
  { outcome, waitedMs }: QueuedResult,
): StepReport {
  if (!outcome.ok) throw outcome.error;
  const { queueMs, transferMs, computeMs, batchSize } = outcome.timing;
  return {
    step: stepLabel(chain, segment.first, segment.last),
    device: segment.device.id,
    timingMs: { queue: waitedMs + queueMs, transfer: transferMs, compute: computeMs },
    batchSize,
  };
}

function sumTiming(steps: readonly StepReport[]): StepReport['timingMs'] {
  const sum = { queue: 0, transfer: 0, compute: 0 };
  for (const { timingMs } of steps) {
    sum.queue += timingMs.queue;
    sum.transfer += timingMs.transfer;
    sum.compute += timingMs.compute;
  }
  return sum;
}
