import type {
  Backend,
  BackendTask,
  Device,
  LoadedModel,
  NamedTensor,
  TaskOutcome,
} from '../backend.js';
import { directCallsMode } from '../direct-calls-mode.js';
import { asAxleError, AxleError } from '../errors.js';
import type { Limits } from '../limits.js';
import type { OpArgs, OpRange } from '../op.js';
import type { Preference } from '../plans/router.js';
import { timerMsMax } from '../timer-limit.js';
import type { TraceContext } from '../trace-context.js';
import { alonePolicy, type BatchPolicy } from './batch-policy.js';
import type { Batch, DropReason } from './decision.js';
import { priorityAmong } from './priority-levels.js';
import { ResultOrder } from './result-order.js';
import { lateAdvice, Scheduler } from './scheduler.js';
import {
  boundsOf,
  type Lane,
  type Schedulable,
  type TaskGroup,
  type TaskTraits,
} from './task-group.js';
import type { TenantShare } from './tenants.js';
import type { TimeSlice } from './time-slices.js';

/** One task on its way through a device's queue. */
export interface QueuedTask extends TaskTraits, Omit<BackendTask, 'settle' | 'backendData'> {
  /** May run a second time when the batch that it ran in failed. */
  readonly repeatable: boolean;
}

export interface TaskListener {
  /**
   * Called exactly once for each task, also after it was cancelled.
   *
   * @param waitedMs in Axle's own queue.
   * @param sent whether the device got it.
   */
  taskDone(outcome: TaskOutcome, waitedMs: number, sent: boolean): void;
}

export type Clock = () => number;

/** Tasks that may wait for one device. */
export interface QueueDepths {
  readonly all: number;
  /** Of one tenant. */
  readonly tenant: number;
  /** Of tenants that have a bound of their own. */
  readonly named: ReadonlyMap<string, number>;
}

/** What tenants have of a device where that is not the same for all; it may change at any time. */
export interface QueueShares {
  /** Default: as the limits say. */
  readonly depths?: () => QueueDepths;
  /** Of its time; undefined: as much as the weight gives. */
  readonly timeSliceOf?: (tenant: string) => TimeSlice | undefined;
}

/** Batches that may wait inside a busy device, for each that it computes at once; all but the first must be tiny. */
const aheadOfEach = 3;

/** Of the tasks of a batch that failed: each was waited for already. */
const goesAtOnce = { delayMs: 0, preferredItems: [], queueTimeoutMs: 0, levels: undefined };

/** Of the last batch in that average. */
const taskMsShare = 0.2;

/** A batch on the device. */
interface Flight {
  readonly batch: Batch<Ticket>;
  readonly sentAt: number;
  /** Whether the backend took it. */
  taken: boolean;
  /** Tasks that have not settled. */
  left: number;
  /** What the device worked on it; undefined once a task failed. */
  workMs: number | undefined;
  /** Failed with others, and to be tried again in smaller batches. */
  readonly failed: Ticket[];
}

const noDepths: ReadonlyMap<string, number> = new Map();

function depthsOf({ queueDepthMax, tenantQueueDepthMax }: Limits): QueueDepths {
  return { all: queueDepthMax, tenant: tenantQueueDepthMax, named: noDepths };
}

/** Runs the scheduler of one device against its backend: the only place where core sends work to a device. */
export class DeviceQueue {
  private readonly scheduler: Scheduler<Ticket>;
  private readonly order = new ResultOrder();
  private timer: NodeJS.Timeout | undefined;
  private timerAt = Infinity;
  private pumping = false;
  private splits = 0;
  /** What a task takes on the device, on the average of late. */
  private taskMs = 0;

  constructor(
    private readonly backend: Backend,
    readonly device: Device,
    limits: Limits,
    private readonly clock: Clock,
    shares: QueueShares = {},
  ) {
    // Looked at for each task.
    const fixedDepths = depthsOf(limits);
    const { depths = () => fixedDepths, timeSliceOf } = shares;
    const parallel = this.batchesThere ? limits.queueDepthMax : device.parallel;
    this.scheduler = new Scheduler<Ticket>({
      parallel,
      ahead: parallel * aheadOfEach,
      get queueDepthMax() {
        return depths().all;
      },
      get tenantQueueDepthMax() {
        return depths().tenant;
      },
      tenantQueueDepthOf: (tenant) => depths().named.get(tenant),
      sendsAllDirectly: directCallsMode() === 'early',
      // Of the device itself: whoever has it holds tenants to them.
      ...(timeSliceOf && !this.batchesThere && { timeSliceOf }),
      device: device.id,
    });
  }

  /** Tasks that wait or run. */
  get load(): number {
    return this.scheduler.load;
  }

  /** Tasks that wait, by the content of their models. */
  get waitingByModel(): ReadonlyMap<string, number> {
    return this.scheduler.waitingByModel;
  }

  /** How long a new task would wait, by what tasks took lately. */
  get waitMs(): number {
    const { load, device, taskMs } = this;
    return load < device.parallel ? 0 : (load / device.parallel) * taskMs;
  }

  /** The same for a task of a tenant: others go before it as far as their shares let them. */
  waitMsOf(share: TenantShare): number {
    const { waitMs, device, taskMs } = this;
    if (waitMs === 0) return 0;
    const { own, turns } = this.scheduler.aheadOf(share);
    // What is on the device is not interrupted for it.
    return Math.min(waitMs, ((own * turns + 1) / device.parallel) * taskMs);
  }

  /**
   * Queues a task.
   *
   * @param now on the queue's clock; callers have just read it.
   * @returns what cancels it.
   * @throws AxleError RESOURCE_EXHAUSTED when the queue is full; DEADLINE_EXCEEDED when it is sure to be late.
   */
  add(task: QueuedTask, listener: TaskListener, now: number): Ticket {
    const ticket = new Ticket(task, listener, now, this);
    if (this.batchesThere) {
      ticket.policy = alonePolicy;
      const batch = this.scheduler.sendAlone(ticket, now);
      if (batch !== undefined) {
        this.send(batch, now);
        return ticket;
      }
    }
    this.scheduler.offer(ticket, now);
    if (ticket.policy.preserveOrdering) {
      ticket.deliverInTurn = this.order.enter(`${ticket.tenant} ${ticket.modelKey}`);
    }
    this.pumpSoon();
    return ticket;
  }

  /** As `directRoom` of the scheduler. */
  directRoom(tenant: string, expectedMs: number | undefined): number {
    if (this.batchesThere) return this.scheduler.aloneRoom;
    return this.scheduler.directRoom(tenant, expectedMs, this.clock());
  }

  directBegan(tasks: number): void {
    this.scheduler.directBegan(tasks);
  }

  /** As `directEnded` of the scheduler. */
  directEnded(tasks: number, tenant: string, weight: number, workMs: number): void {
    this.scheduler.directEnded(tasks, tenant, weight, workMs);
    if (this.scheduler.waiting > 0) this.pumpSoon();
  }

  /** A task that waits ends at once, one that runs as the device allows. */
  cancel(ticket: Ticket): void {
    if (ticket.cancelled) return;
    ticket.cancelled = true;
    if (this.scheduler.remove(ticket)) {
      this.fail(ticket, 'CANCELLED', 'the call was cancelled while it waited');
    } else if (ticket.flight !== undefined) {
      this.backend.cancel(ticket);
    }
  }

  /** A tenant had so much of other devices of the pool that this one is of. */
  chargeElsewhere(tenant: string, deviceMs: number): void {
    if (this.batchesThere) this.backend.chargeElsewhere?.(this.device, tenant, deviceMs);
    else this.scheduler.chargeElsewhere(tenant, deviceMs);
  }

  /** To be called once, with nothing waiting. */
  close(): void {
    clearTimeout(this.timer);
  }

  /** To be called once for each task of a flight. */
  settled(ticket: Ticket, outcome: TaskOutcome): void {
    const { flight } = ticket;
    if (flight === undefined) return;
    ticket.flight = undefined;
    flight.left -= 1;
    if (!outcome.ok) {
      flight.workMs = undefined;
    } else if (flight.workMs !== undefined) {
      const { transferMs, computeMs, batchSize } = outcome.timing;
      flight.workMs += (transferMs + computeMs) / batchSize;
    }
    const again = !outcome.ok && !ticket.cancelled && mayHalve(ticket, flight, outcome.error);
    if (again) flight.failed.push(ticket);
    else ticket.deliver(outcome, flight.sentAt - ticket.offeredAt, flight.taken);
    if (flight.left === 0) this.landed(flight, outcome.settledAt ?? this.clock());
  }

  private get batchesThere(): boolean {
    return this.backend.batches === 'there';
  }

  /** After the current turn, so that calls made together can run together. */
  private pumpSoon(): void {
    if (this.pumping) return;
    this.pumping = true;
    queueMicrotask(() => {
      this.pumping = false;
      this.pump();
    });
  }

  private pump(): void {
    for (;;) {
      const now = this.clock();
      const decision = this.scheduler.poll(now);
      if (decision.kind === 'batch') {
        this.send(decision.batch, now);
      } else if (decision.kind === 'dropped') {
        for (const ticket of decision.tasks) this.drop(ticket, decision.why);
      } else {
        this.pumpAt(decision.kind === 'wait' ? decision.untilAt : Infinity, now);
        return;
      }
    }
  }

  private pumpAt(at: number, now: number): void {
    if (at === this.timerAt) return;
    clearTimeout(this.timer);
    this.timerAt = at;
    if (at === Infinity) return;
    this.timer = setTimeout(
      () => {
        this.timerAt = Infinity;
        this.pump();
      },
      Math.min(Math.ceil(at - now), timerMsMax),
    );
  }

  private send(batch: Batch<Ticket>, sentAt: number): void {
    const { tasks } = batch;
    const flight: Flight = {
      batch,
      sentAt,
      taken: true,
      left: tasks.length,
      workMs: 0,
      failed: [],
    };
    for (const ticket of tasks) ticket.flight = flight;
    try {
      this.backend.submit(this.device, tasks);
    } catch (error) {
      const cause = asAxleError(error);
      flight.taken = false;
      // Not before whoever has added it knows its ticket.
      queueMicrotask(() => {
        for (const ticket of tasks) ticket.settle({ ok: false, error: cause });
      });
    }
  }

  private landed({ batch, sentAt, workMs, failed }: Flight, now: number): void {
    const latencyMs = now - sentAt;
    this.taskMs += ((workMs ?? latencyMs) / batch.tasks.length - this.taskMs) * taskMsShare;
    this.scheduler.finished(batch, { workMs, latencyMs });
    if (failed.length > 0) this.retryHalves(failed);
    if (!this.batchesThere || this.scheduler.waiting > 0) this.pumpSoon();
  }

  private retryHalves(failed: readonly Ticket[]): void {
    // Halves again and again, until the task at fault is alone and the others have run.
    const middle = Math.ceil(failed.length / 2);
    this.retry(failed.slice(0, middle));
    this.retry(failed.slice(middle));
  }

  private retry(tickets: readonly Ticket[]): void {
    this.splits += 1;
    for (const ticket of tickets) {
      if (ticket.cancelled) {
        this.fail(ticket, 'CANCELLED', 'the call was cancelled while it waited');
        continue;
      }
      ticket.batchKey = `${ticket.task.batchKey} part ${this.splits}`;
      ticket.policy = { ...ticket.task.policy, ...goesAtOnce };
      this.scheduler.readmit(ticket);
    }
  }

  private drop(ticket: Ticket, why: DropReason): void {
    if (why === 'timeout') {
      const { queueTimeoutMs } = boundsOf(ticket);
      this.fail(
        ticket,
        'UNAVAILABLE',
        `no place on ${this.device.id} within the ${queueTimeoutMs} ms that the model's queue policy allows; try again later`,
      );
    } else if (why === 'late') {
      this.fail(
        ticket,
        'DEADLINE_EXCEEDED',
        `${this.device.id} cannot do all that waits within its deadlines, and this was given up before it began; ` +
          lateAdvice,
      );
    } else {
      this.fail(
        ticket,
        'DEADLINE_EXCEEDED',
        `the deadline passed while this waited for ${this.device.id}; ${lateAdvice}`,
      );
    }
  }

  private fail(
    ticket: Ticket,
    code: 'CANCELLED' | 'DEADLINE_EXCEEDED' | 'UNAVAILABLE',
    message: string,
  ): void {
    const outcome: TaskOutcome = { ok: false, error: AxleError.expected(code, message) };
    ticket.deliver(outcome, this.clock() - ticket.offeredAt, false);
  }
}

/**
 * Whether a task of a batch that failed is to run again in a smaller one: it may be another that broke it. A device that
 * is gone breaks all of them. What the backend did not take has had no effect yet.
 */
function mayHalve({ task }: Ticket, { batch, taken }: Flight, error: AxleError): boolean {
  if (batch.tasks.length === 1 || error.code === 'UNAVAILABLE') return false;
  return task.repeatable || !taken;
}

/** A task in a device's queue or on the device: what the scheduler and the backend see of it. */
export class Ticket implements Schedulable<Ticket>, BackendTask {
  batchKey: string;
  policy: BatchPolicy;
  readonly priority: number;
  sequence = 0;
  heapIndex = -1;
  overdue = false;
  group: TaskGroup<Ticket> | undefined = undefined;
  lane: Lane<Ticket> | undefined = undefined;
  flight: Flight | undefined = undefined;
  deliverInTurn: ((deliver: () => void) => void) | undefined = undefined;
  cancelled = false;
  backendData: unknown = undefined;

  constructor(
    readonly task: QueuedTask,
    private readonly listener: TaskListener,
    public offeredAt: number,
    private readonly queue: DeviceQueue,
  ) {
    this.batchKey = task.batchKey;
    this.policy = task.policy;
    const { levels } = task.policy;
    this.priority = levels === undefined ? task.priority : priorityAmong(levels, task.priority);
  }

  get range(): OpRange {
    return this.task.range;
  }

  get args(): OpArgs {
    return this.task.args;
  }

  get model(): LoadedModel | undefined {
    return this.task.model;
  }

  get inputs(): readonly NamedTensor[] {
    return this.task.inputs;
  }

  get outputBytesMax(): number {
    return this.task.outputBytesMax;
  }

  get into(): Uint8Array | undefined {
    return this.task.into;
  }

  get keeps(): boolean | undefined {
    return this.task.keeps;
  }

  get deadlineAt(): number | undefined {
    return this.task.deadlineAt;
  }

  get modelKey(): string {
    return this.task.modelKey;
  }

  get items(): number {
    return this.task.items;
  }

  get tenant(): string {
    return this.task.tenant;
  }

  get weight(): number {
    return this.task.weight;
  }

  get trace(): TraceContext | undefined {
    return this.task.trace;
  }

  get preference(): Preference | undefined {
    return this.task.preference;
  }

  settle(outcome: TaskOutcome): void {
    this.queue.settled(this, outcome);
  }

  cancel(): void {
    this.queue.cancel(this);
  }

  deliver(outcome: TaskOutcome, waitedMs: number, sent: boolean): void {
    if (this.deliverInTurn === undefined) {
      this.listener.taskDone(outcome, waitedMs, sent);
    } else {
      this.deliverInTurn(() => {
        this.listener.taskDone(outcome, waitedMs, sent);
      });
    }
  }
}
