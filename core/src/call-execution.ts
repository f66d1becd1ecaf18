import type { NamedTensor, TaskOutcome, TaskTiming } from './backend.js';
import type { CancelListener } from './cancellation.js';
import type { DeviceUse } from './device-uses.js';
import type { Call, CallListener, DispatchParts } from './dispatch.js';
import { AxleError, messageOf } from './errors.js';
import type { PlacedModel } from './models/device-models.js';
import type { ChainStep } from './plans/chain.js';
import type { Plan, Segment } from './plans/router.js';
import type { CallReport, FailedAttempt, StepReport, TimingMs } from './results.js';
import type { QueuedTask, TaskListener, Ticket } from './scheduling/device-queue.js';
import { taskPublisher } from './task-channel.js';
import type { TaskName } from './task-event.js';
import { privateTensor, releaseTensor } from './tensor.js';
import { activeTrace } from './trace-context.js';

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
export class CallExecution implements TaskListener, CancelListener {
  private readonly bytes: number;
  private plans: readonly Plan[] = [];
  private planIndex = 0;
  private segmentIndex = 0;
  private failed: FailedAttempt[] | undefined;
  /** Of the segments before the one under way. */
  private steps: StepReport[] | undefined;
  private values: readonly NamedTensor[];
  private ticket: Ticket | undefined;
  /** Held on its device for the task under way. */
  private placed: PlacedModel | undefined;
  private over = false;
  /** A device may have its inputs. */
  private underWay = false;
  private readonly publishTask = taskPublisher();

  constructor(
    private readonly parts: DispatchParts,
    private readonly call: Call,
    private readonly listener: CallListener,
  ) {
    this.bytes = bytesOf(call.inputs);
    this.values = call.inputs;
  }

  start(): void {
    const { chain, model, preference, cancellation, readyAt } = this.call;
    try {
      this.plans = this.parts.router.plans(chain, model, preference, this.bytes);
    } catch (error) {
      this.fail(error);
      return;
    }
    cancellation.subscribe(this);
    this.runSegment(readyAt);
  }

  /** The task of the segment under way is done. */
  taskDone(outcome: TaskOutcome, waitedMs: number, sent: boolean): void {
    const { breaker, costs } = this.parts;
    const { segment } = this;
    this.ticket = undefined;
    this.underWay = false;
    this.releaseModel();
    if (this.over) this.listener.released?.();
    this.publishTask?.(taskName(segment, this.call), outcome, waitedMs);
    if (!outcome.ok) {
      // What never reached the device says nothing of it.
      if (sent) this.parts.deviceFailed(segment.device, outcome.error);
      if (this.over) return;
      const begun = sent && outcome.neverBegan !== true;
      if (begun && !segment.repeatable) this.fail(mayHaveRun(outcome.error));
      else this.tryNextPlan(outcome.error, sent);
      return;
    }
    breaker.succeeded(segment.device);
    costs.observe(segment.cost, this.bytes, outcome.timing);
    const { listener } = this.parts.uses;
    if (listener !== undefined) this.tellUses(listener, outcome);
    if (this.over) {
      // Nobody will see what was kept for them.
      if (this.call.keeps === true) releaseAll(outcome.outputs);
      return;
    }
    this.values = outcome.outputs;
    const { making } = outcome;
    if (making === undefined) {
      const step = stepReport(segment, outcome.timing, waitedMs);
      // Pushing onto an empty array makes room for 17.
      if (this.steps === undefined) this.steps = [step];
      else this.steps.push(step);
    } else {
      (this.steps ??= []).push(...making.steps);
      if (making.fallbacks.length > 0) (this.failed ??= []).push(...making.fallbacks);
    }
    if (this.segmentIndex === this.plan.segments.length - 1) {
      this.finish(outcome.settledAt ?? this.parts.clock());
      return;
    }
    this.segmentIndex += 1;
    this.runSegment(this.parts.clock());
  }

  private tellUses(
    listener: (use: DeviceUse) => void,
    { making, timing }: TaskOutcome & { readonly ok: true },
  ): void {
    const { tenant, model, chain } = this.call;
    const common = { tenant, op: chain.op, model: model?.name };
    if (making === undefined) {
      const deviceMs = timing.computeMs / timing.batchSize;
      listener({ ...common, device: this.segment.device.id, deviceMs });
      return;
    }
    for (const { device, timingMs, batchSize } of making.steps) {
      listener({ ...common, device, deviceMs: timingMs.compute / Math.max(1, batchSize) });
    }
  }

  private get plan(): Plan {
    return this.plans[this.planIndex] as Plan;
  }

  private get segment(): Segment {
    return this.plan.segments[this.segmentIndex] as Segment;
  }

  private runSegment(now: number): void {
    if (this.over) return;
    const { segment } = this;
    const { model } = this.call;
    if (!segment.usesModel || model === undefined) {
      this.enqueue(segment, undefined, now);
      return;
    }
    const { models, clock } = this.parts;
    const placed = models.pin(segment.device, model);
    if (placed !== undefined) {
      this.enqueue(segment, placed, now);
      return;
    }
    const refusal = models.refusal(segment.device, model);
    if (refusal !== undefined) {
      this.tryNextPlan(refusal, true);
      return;
    }
    models.load(segment.backend, segment.device, model).then(
      (justPlaced) => {
        this.enqueue(segment, justPlaced, clock());
      },
      (error: unknown) => {
        this.tryNextPlan(error, true);
      },
    );
  }

  private enqueue(segment: Segment, placed: PlacedModel | undefined, now: number): void {
    this.placed = placed;
    if (this.over) {
      this.releaseModel();
      return;
    }
    const { parts, call } = this;
    const { batchKeys, policy } = segment;
    try {
      const inputs = this.inputsOf(segment);
      parts.breaker.entering(segment.device);
      const isLast = this.segmentIndex === this.plan.segments.length - 1;
      const task: QueuedTask = {
        range: segment.range,
        args: segment.args,
        model: placed?.loaded,
        inputs,
        outputBytesMax: call.outputBytesMax,
        into: isLast ? call.into : undefined,
        keeps: isLast ? call.keeps : undefined,
        deadlineAt: call.deadlineAt,
        batchKey: policy.itemsMax === 1 ? batchKeys.alone : batchKeys.of(inputs),
        modelKey: segment.modelKey,
        policy,
        // An empty batch is work too.
        items: segment.countsItems ? Math.max(1, inputs[0]?.tensor.shape[0] ?? 1) : 1,
        priority: call.priority,
        tenant: call.tenant,
        weight: call.weight,
        trace: activeTrace(),
        preference: call.preference,
        repeatable: segment.repeatable,
      };
      this.ticket = parts.queueOf(segment).add(task, this, now);
      this.underWay = true;
    } catch (error) {
      this.releaseModel();
      this.tryNextPlan(error, false);
    }
  }

  private releaseModel(): void {
    this.placed?.unpin();
    this.placed = undefined;
  }

  private inputsOf({ first, backend }: Segment): readonly NamedTensor[] {
    const { adapt } = this.call.chain.steps[first] as ChainStep;
    const inputs = adapt === undefined || first === 0 ? this.values : adapt(this.values);
    checkPlaces(inputs, backend.name);
    return backend.takesInputsThatChange === true ? inputs : privateInputs(inputs);
  }

  private finish(now: number): void {
    const { call, plan, failed, steps = [] } = this;
    const total = now - call.startedAt;
    this.over = true;
    const report: CallReport = {
      device: plan.main.device.id,
      steps,
      timingMs: sumTiming(steps, total),
      fallbacks: failed ?? noFallbacks,
    };
    try {
      this.listener.succeeded({ outputs: this.values, report });
    } catch (error) {
      if (call.keeps === true) releaseAll(this.values);
      this.listener.failed(error, false);
    }
  }

  /** @param begun whether the device was asked. */
  private tryNextPlan(error: unknown, begun: boolean): void {
    if (this.over) return;
    const last = this.planIndex === this.plans.length - 1;
    if (last || !(error instanceof AxleError) || !this.mayDoBetter(error, begun)) {
      this.fail(error);
      return;
    }
    const devices = this.plan.segments.map(({ device }) => device.id);
    (this.failed ??= []).push({ devices, code: error.code, message: messageOf(error) });
    this.planIndex += 1;
    this.segmentIndex = 0;
    this.steps = undefined;
    this.values = this.call.inputs;
    this.runSegment(this.parts.clock());
  }

  /** Whether another device may. */
  private mayDoBetter({ code }: AxleError, begun: boolean): boolean {
    if (begun || code !== 'DEADLINE_EXCEEDED') return fallbackCodes.has(code);
    // A queue that would have been too slow.
    return this.parts.clock() < (this.call.deadlineAt ?? Infinity);
  }

  /** The caller gets its own reason at once, whenever the device is done with the task. */
  cancelled(reason: unknown): void {
    if (this.over) return;
    this.fail(reason);
    this.ticket?.cancel();
  }

  private fail(reason: unknown): void {
    this.over = true;
    this.listener.failed(reason, this.underWay);
  }
}

/** Of a task whose op must not run twice: it reached the device, so that nobody may run it again unasked. */
function mayHaveRun(error: AxleError): AxleError {
  if (!error.retryable && !fallbackCodes.has(error.code)) return error;
  return new AxleError(
    error.code,
    `${error.message} (the device may have done part of it; it is not run again, since the op is neither pure nor idempotent)`,
    { cause: error, retryable: false, outcomeUnknown: error.outcomeUnknown },
  );
}

function releaseAll(outputs: readonly NamedTensor[]): void {
  for (const { tensor } of outputs) releaseTensor(tensor);
}

const noFallbacks: readonly FailedAttempt[] = Object.freeze([]);

/** @throws AxleError FAILED_PRECONDITION for one whose bytes lie with another backend. */
function checkPlaces(inputs: readonly NamedTensor[], backend: string): void {
  for (const { name, tensor } of inputs) {
    if (tensor.place === undefined || tensor.place.backend === backend) continue;
    const message = `the tensor given as '${name}' is kept by ${tensor.place.backend}, and the call would run on ${backend}`;
    throw new AxleError('FAILED_PRECONDITION', message);
  }
}

function privateInputs(inputs: readonly NamedTensor[]): readonly NamedTensor[] {
  if (!inputs.some(({ tensor }) => tensor.mayChange)) return inputs;
  return inputs.map((input) => ({ ...input, tensor: privateTensor(input.tensor) }));
}

function bytesOf(inputs: readonly NamedTensor[]): number {
  let bytes = 0;
  for (const { tensor } of inputs) bytes += tensor.byteLength;
  return bytes;
}

function taskName(segment: Segment, { chain, model, tenant }: Call): TaskName {
  return {
    op: chain.op,
    step: segment.label,
    device: segment.device.id,
    model: segment.usesModel ? model?.name : undefined,
    tenant,
  };
}

function stepReport(
  { label, device }: Segment,
  { queueMs, transferMs, computeMs, batchSize }: TaskTiming,
  waitedMs: number,
): StepReport {
  return {
    step: label,
    device: device.id,
    timingMs: { queue: waitedMs + queueMs, transfer: transferMs, compute: computeMs },
    batchSize,
  };
}

function sumTiming(steps: readonly StepReport[], total: number): TimingMs {
  let queue = 0;
  let transfer = 0;
  let compute = 0;
  for (const { timingMs } of steps) {
    queue += timingMs.queue;
    transfer += timingMs.transfer;
    compute += timingMs.compute;
  }
  return { queue, transfer, compute, total };
}
