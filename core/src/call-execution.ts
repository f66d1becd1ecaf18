import type { LoadedModel, NamedTensor, TaskTiming } from './backend.js';
import type { Call, CallOutcome, DispatchParts } from './dispatch.js';
import { AxleError, messageOf } from './errors.js';
import { hasFlag } from './op.js';
import { stepLabel, takesImage, type Chain, type ChainStep } from './plans/chain.js';
import { isOfDevice } from './plans/circuit-breaker.js';
import type { Plan, Segment } from './plans/router.js';
import type { FailedAttempt, StepReport } from './results.js';
import type { QueuedResult, TaskListener, Ticket } from './scheduling/device-queue.js';
import { taskPublisher, type TaskName } from './task-channel.js';

/** After a failure with one of these another device may do better; any other would fail there too. */
const fallbackCodes: ReadonlySet<string> = new Set([
  'UNAVAILABLE',
  'INTERNAL',
  'UNIMPLEMENTED',
  'UNKNOWN',
  'RESOURCE_EXHAUSTED',
]);

/**
 * One call on its way through its plans, segment by segment. A machine of callbacks and not an async function, because
 * a call of one task, the common one, then costs one promise.
 */
export class CallExecution implements TaskListener {
  private readonly failed: FailedAttempt[] = [];
  private plans: readonly Plan[] = [];
  private planIndex = 0;
  private segmentIndex = 0;
  private steps: StepReport[] = [];
  private values: readonly NamedTensor[];
  private ticket: Ticket | undefined;
  private over = false;
  private readonly publishTask = taskPublisher();

  constructor(
    private readonly parts: DispatchParts,
    private readonly call: Call,
    /** What it throws, the call fails with. */
    private readonly succeed: (outcome: CallOutcome) => void,
    private readonly reject: (reason: unknown) => void,
  ) {
    this.values = call.inputs;
  }

  start(): void {
    const { chain, model, preference, inputs, cancellation } = this.call;
    try {
      this.plans = this.parts.router.plans(chain, model, preference, bytesOf(inputs));
    } catch (error) {
      this.fail(error);
      return;
    }
    cancellation.subscribe((reason) => {
      this.cancel(reason);
    });
    this.runSegment();
  }

  /** The task of the segment under way is done. */
  taskDone(result: QueuedResult): void {
    const { breaker, costs } = this.parts;
    const { segment } = this;
    const { outcome, waitedMs, sent } = result;
    this.ticket = undefined;
    this.publishTask?.(taskName(segment, this.call), result);
    if (!outcome.ok) {
      // What never reached the device says nothing of it.
      if (sent) this.deviceFailed(segment, outcome.error);
      this.tryNextPlan(outcome.error);
      return;
    }
    breaker.succeeded(segment.device);
    costs.observe(segment.cost, bytesOf(this.call.inputs), outcome.timing);
    if (this.over) return;
    this.values = outcome.outputs;
    this.steps.push(stepReport(this.call.chain, segment, outcome.timing, waitedMs));
    this.segmentIndex += 1;
    if (this.segmentIndex < this.plan.segments.length) this.runSegment();
    else this.finish();
  }

  private deviceFailed({ device }: Segment, error: AxleError): void {
    const { breaker, health } = this.parts;
    breaker.failed(device, error);
    if (isOfDevice(error)) health.suspect(device);
  }

  private get plan(): Plan {
    return this.plans[this.planIndex] as Plan;
  }

  private get segment(): Segment {
    return this.plan.segments[this.segmentIndex] as Segment;
  }

  private runSegment(): void {
    if (this.over) return;
    const { segment } = this;
    const { model } = this.call;
    if (!segment.usesModel || model === undefined) {
      this.enqueue(segment, undefined);
      return;
    }
    const { models } = this.parts;
    const loaded = models.find(segment.device, model);
    if (loaded !== undefined) {
      this.enqueue(segment, loaded);
      return;
    }
    models.load(segment.backend, segment.device, model).then(
      (justLoaded) => {
        this.enqueue(segment, justLoaded);
      },
      (error: unknown) => {
        if (error instanceof AxleError) this.deviceFailed(segment, error);
        this.tryNextPlan(error);
      },
    );
  }

  private enqueue(segment: Segment, model: LoadedModel | undefined): void {
    if (this.over) return;
    const { call } = this;
    const { batchKeys, policy } = segment;
    try {
      const inputs = this.inputsOf(segment);
      this.parts.breaker.entering(segment.device);
      this.ticket = this.parts.queueOf(segment).add(
        {
          range: segment.range,
          args: segment.args,
          model,
          inputs,
          outputBytesMax: call.outputBytesMax,
          deadlineAt: call.deadlineAt,
          batchKey: policy.itemsMax === 1 ? batchKeys.alone : batchKeys.of(inputs),
          modelKey: segment.modelKey,
          policy,
          items: itemsOf(segment, call, inputs),
          priority: call.priority,
          tenant: call.tenant,
          weight: call.weight,
          repeatable: hasFlag(segment.flags, 'PURE') || hasFlag(segment.flags, 'IDEMPOTENT'),
        },
        this,
      );
    } catch (error) {
      this.tryNextPlan(error);
    }
  }

  private inputsOf({ first }: Segment): readonly NamedTensor[] {
    const { adapt } = this.call.chain.steps[first] as ChainStep;
    return adapt === undefined || first === 0 ? this.values : adapt(this.values);
  }

  private finish(): void {
    const { call, steps, plan, failed } = this;
    const total = this.parts.clock() - call.startedAt;
    this.over = true;
    try {
      this.succeed({
        outputs: this.values,
        report: {
          device: plan.main.device.id,
          steps,
          timingMs: sumTiming(steps, total),
          fallbacks: failed,
        },
      });
    } catch (error) {
      this.reject(error);
    }
  }

  private tryNextPlan(error: unknown): void {
    if (this.over) return;
    const last = this.planIndex === this.plans.length - 1 || this.call.preference.strict;
    if (last || !(error instanceof AxleError) || !fallbackCodes.has(error.code)) {
      this.fail(error);
      return;
    }
    const devices = this.plan.segments.map(({ device }) => device.id);
    this.failed.push({ devices, code: error.code, message: messageOf(error) });
    this.planIndex += 1;
    this.segmentIndex = 0;
    this.steps = [];
    this.values = this.call.inputs;
    this.runSegment();
  }

  /** The caller gets its own reason at once, whenever the device is done with the task. */
  private cancel(reason: unknown): void {
    if (this.over) return;
    this.fail(reason);
    this.ticket?.cancel();
  }

  private fail(reason: unknown): void {
    this.over = true;
    this.reject(reason);
  }
}

function bytesOf(inputs: readonly NamedTensor[]): number {
  let bytes = 0;
  for (const { tensor } of inputs) bytes += tensor.byteLength;
  return bytes;
}

/** Items in the batch dimension of a model; 1 for what has none. */
function itemsOf(segment: Segment, call: Call, inputs: readonly NamedTensor[]): number {
  const batched = segment.usesModel && (call.model?.maxBatchSize ?? 0) > 0;
  if (!batched || takesImage(call.chain, segment.first)) return 1;
  // An empty batch is work too.
  return Math.max(1, inputs[0]?.tensor.shape[0] ?? 1);
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

function stepReport(
  chain: Chain,
  { first, last, device }: Segment,
  { queueMs, transferMs, computeMs, batchSize }: TaskTiming,
  waitedMs: number,
): StepReport {
  return {
    step: stepLabel(chain, first, last),
    device: device.id,
    timingMs: { queue: waitedMs + queueMs, transfer: transferMs, compute: computeMs },
    batchSize,
  };
}

function sumTiming(steps: readonly StepReport[], total: number) {
  const sum = { queue: 0, transfer: 0, compute: 0, total };
  for (const { timingMs } of steps) {
    sum.queue += timingMs.queue;
    sum.transfer += timingMs.transfer;
    sum.compute += timingMs.compute;
  }
  return sum;
}
