import { AxleError } from '../errors.js';
import type { Batch, BatchTimes, Decision } from './decision.js';
import { batchMs, expectedMs, msUntilDone } from './estimates.js';
import { FreeLanes } from './free-lanes.js';
import { chooseSloBatch, type SloChoice, type SloTask } from './slo-batch.js';
import {
  boundsOf,
  compareByDeadline,
  dueAt,
  itemsOf,
  TaskGroup,
  type Lane,
  type Schedulable,
  type TaskTraits,
  type Waiting,
} from './task-group.js';
import { Tenants, type TasksAhead, type Tenant, type TenantShare } from './tenants.js';
import type { TimeSlice } from './time-slices.js';
import { TurnOrder } from './turn-order.js';

export interface SchedulerOptions {
  /** Batches that the device computes at once. */
  readonly parallel: number;
  /** Batches that it may hold besides them, so that it does not idle between two short ones. */
  readonly ahead: number;
  /** Tasks that wait; one more is refused. */
  readonly queueDepthMax: number;
  /** The same of one tenant; default as many. */
  readonly tenantQueueDepthMax?: number;
  /** The same of tenants that have a bound of their own, which may change at any time; undefined for others. */
  readonly tenantQueueDepthOf?: (tenant: string) => number | undefined;
  /** Of tenants that have a slice of the device's time, which may change at any time; undefined for others. */
  readonly timeSliceOf?: (tenant: string) => TimeSlice | undefined;
  /** For tests: tasks go past the queue whatever they cost and whoever waits. */
  readonly sendsAllDirectly?: boolean;
  /** For messages. */
  readonly device: string;
}

/** Most tasks of one batch: what the plugin ABI takes in one submit (AXLE_SUBMIT_MAX). */
export const batchTasksMax = 1024;

/**
 * A batch that takes less may wait inside a busy device. A longer one gains nothing there: it keeps its place in the
 * queue, where better choices can still be made.
 */
const shortBatchMs = 1;
/**
 * Of batches that take less, several may wait there. With one, calls made in a loop end up in two large batches, and the
 * device's thread falls asleep between them: waking it costs more than they do.
 */
const tinyBatchMs = 0.02;
/** Tasks on the device that went past the queue. All of them together take no longer than a short batch or two. */
const directTasksMax = 64;
/** For so long a tenant has been the only one before its tasks may, milliseconds. */
const onlyTenantMsMin = 50;
/** Batch keys that are remembered, and with them what their batches take. */
const groupsMax = 1024;
/** The same call would be late again: DEADLINE_EXCEEDED is not to be tried again as it is. */
export const lateAdvice = 'give it more time, or send less at once';
/**
 * A place on the device counts as free for the next batch when it is expected to be within this part of what half of the
 * waiting work takes: it soon takes its share, where one batch of all would leave it with single tasks.
 */
const soonFreePart = 0.5;
/** Tasks that the choice under deadlines looks at, as a multiple of the largest batch. */
const sloWindowBatches = 4;

interface SentBatch<T extends Schedulable<T>> extends Batch<T> {
  readonly group: TaskGroup<T>;
  /** Sent to a busy device, where it waited for others. */
  readonly ahead: boolean;
  /** What its tenants were charged: what it was expected to take. */
  readonly chargedMs: number;
  readonly sentAt: number;
  readonly tenants: readonly Tenant[];
}

/**
 * Decides when the tasks of one device run, and with whom in a batch. Pure: no timers, no I/O, and the time comes in
 * with each call, so that it is tested and simulated in virtual time.
 *
 * Order: higher priority first; among equals the tenant that had the least device time for its weight; within a tenant
 * the earliest deadline, then arrival. Where tenants are close, the model that ran last goes on. A group of tasks that
 * waits for a larger batch holds up nobody.
 */
export class Scheduler<T extends Schedulable<T>> {
  private readonly groupsByKey = new Map<string, TaskGroup<T>>();
  /** Those with waiting tasks, but for the free ones. */
  private readonly groups: TaskGroup<T>[] = [];
  private readonly freeLanes = new FreeLanes<T>();
  /** Groups at which empty ones are forgotten. */
  private groupsMax = groupsMax;
  private readonly tenants: Tenants;
  private readonly turns = new TurnOrder<T>();
  private readonly underWayOfModel = new Map<string, number>();
  /** By model, and level where it has some; only of queues that have a bound. */
  private readonly waitingOfQueue = new Map<string, number>();
  /** Whose tasks came last, and since when nobody else's did. */
  private onlyTenant = '';
  private onlySince = -Infinity;
  /** Tasks that went to the device past the queue. */
  private direct = 0;
  private sequence = 0;
  private underWay = 0;
  /** Those of them that more tasks might have been in, in no order. */
  private readonly batchesOfMany: SentBatch<T>[] = [];
  private tasksSent = 0;
  private size = 0;

  constructor(private readonly options: SchedulerOptions) {
    this.tenants = new Tenants(options.parallel);
  }

  get waiting(): number {
    return this.size;
  }

  /** Batches on the device. */
  get running(): number {
    return this.underWay;
  }

  /** Tasks that wait or are on the device. */
  get load(): number {
    return this.size + this.tasksSent + this.direct;
  }

  /**
   * How many tiny tasks of a tenant may go to the device now without a turn in the queue: some, where nothing waits, and
   * where nobody else has had tasks lately to be fair to.
   *
   * @param expectedMs what one of them takes; undefined = not known
   */
  directRoom(tenantName: string, expectedMs: number | undefined, now: number): number {
    const { size, options } = this;
    if (!options.sendsAllDirectly) {
      if (size > 0 || expectedMs === undefined || expectedMs >= tinyBatchMs) return 0;
      // A slice has turns also while nobody else wants the device.
      if (options.timeSliceOf?.(tenantName) !== undefined) return 0;
      if (tenantName !== this.onlyTenant || now - this.onlySince < onlyTenantMsMin) return 0;
    }
    const { queueDepthMax, tenantQueueDepthMax = queueDepthMax, tenantQueueDepthOf } = options;
    const depth = tenantQueueDepthOf?.(tenantName) ?? tenantQueueDepthMax;
    return Math.max(0, Math.min(directTasksMax, queueDepthMax, depth) - this.direct);
  }

  directBegan(tasks: number): void {
    this.direct += tasks;
  }

  /** @param workMs what the device worked on them: their tenant has had it. */
  directEnded(tasks: number, tenantName: string, weight: number, workMs: number): void {
    this.direct -= tasks;
    const tenant = this.arrived({ tenant: tenantName, weight });
    tenant.waiting -= 1;
    this.tenants.charge(tenant, workMs);
  }

  /** Tasks that wait, by what the device must have ready for them; not those that need nothing. */
  get waitingByModel(): ReadonlyMap<string, number> {
    const waiting = new Map<string, number>();
    for (const { model, size } of this.groups) if (model !== '') count(waiting, model, size);
    return waiting;
  }

  /**
   * @throws AxleError RESOURCE_EXHAUSTED when the queue, or the model's or tenant's share of it, is full; DEADLINE_EXCEEDED when
   * what waits already is sure to make it miss its deadline.
   */
  offer(task: T, now: number): void {
    const { queueDepthMax, tenantQueueDepthMax = queueDepthMax, device } = this.options;
    const { tenantQueueDepthOf } = this.options;
    if (this.size >= queueDepthMax) throw queueFull(queueDepthMax, device);
    const ownDepth = tenantQueueDepthOf?.(task.tenant);
    const tenantDepth = ownDepth ?? tenantQueueDepthMax;
    if (this.size >= tenantDepth && this.tenants.waitingOf(task.tenant) >= tenantDepth) {
      const bound = ownDepth === undefined ? 'of each tenant' : 'of this tenant (queueDepth)';
      throw queueFull(tenantDepth, `${device} from tenant ${task.tenant}`, `, the most ${bound}`);
    }
    const { queueMax } = boundsOf(task);
    if (queueMax > 0 && (this.waitingOfQueue.get(queueKeyOf(task)) ?? 0) >= queueMax) {
      throw queueFull(queueMax, `this model on ${device}`);
    }
    this.noteTenant(task.tenant, now);
    const group = this.groupOf(task);
    this.refuseLate(task, group, now);
    task.offeredAt = now;
    this.insert(task, group);
  }

  /** How many tasks `sendAlone` would send now. */
  get aloneRoom(): number {
    return this.size > 0 ? 0 : this.options.parallel - this.underWay - this.direct;
  }

  /**
   * Sends a task by itself without a turn in the queue, where it would get one at once: for devices that make the batches
   * themselves.
   *
   * @returns undefined: it is to be offered, since others wait, no place is free, or its deadline has passed.
   */
  sendAlone(task: T, now: number): Batch<T> | undefined {
    if (this.aloneRoom <= 0) return undefined;
    if (dueAt(task) <= now) return undefined;
    this.noteTenant(task.tenant, now);
    const tenant = this.arrived(task);
    tenant.waiting -= 1;
    task.offeredAt = now;
    return this.begin(this.groupOf(task), [task], [tenant], now);
  }

  /**
   * Puts a task back that was admitted before and ran in a batch that failed, under a batch key of its own; no bound
   * counts it again, and it has waited since it was offered.
   */
  readmit(task: T): void {
    const group = this.groupOf(task);
    group.temporary = true;
    this.insert(task, group);
  }

  /** Takes a waiting task out; false when it does not wait any more. */
  remove(task: T): boolean {
    if (task.heapIndex < 0) return false;
    this.take(task as Waiting<T>);
    return true;
  }

  /** What a new task of a tenant would find here. */
  aheadOf(share: TenantShare): TasksAhead {
    return this.tenants.aheadOf(share);
  }

  /** A tenant had so much of other devices of the pool that this one is of: here it goes behind others for it. */
  chargeElsewhere(tenant: string, deviceMs: number): void {
    this.tenants.owe(tenant, deviceMs);
  }

  /** To be called again and again until it says wait or idle. */
  poll(now: number): Decision<T> {
    const dropped = this.takeOverdue(now);
    if (dropped !== undefined) return dropped;
    const { head, nextAt } = this.chooseHead(now);
    if (head !== undefined) return this.form(head, now);
    return nextAt === Infinity ? { kind: 'idle' } : { kind: 'wait', untilAt: nextAt };
  }

  /**
   * A batch is done, whatever came of it.
   *
   * @param took of a batch that failed only the latency counts: its tenants had the device for that long, but the next
   * one will not take as long for it.
   */
  finished(batch: Batch<T>, took: BatchTimes): void {
    const sent = batch as SentBatch<T>;
    this.underWay -= 1;
    this.landed(sent);
    this.tasksSent -= sent.tasks.length;
    for (const tenant of sent.tenants) tenant.sent -= 1;
    sent.group.underWay -= 1;
    const { model, policy } = sent.group;
    if (policy.instances > 0) count(this.underWayOfModel, model, -1);
    const { workMs, latencyMs } = took;
    this.charge(sent, (workMs ?? latencyMs) - sent.chargedMs);
    if (workMs === undefined) return;
    sent.group.work.observe(sent.items, workMs);
    if (!sent.ahead) sent.group.latency.observe(sent.items, latencyMs);
  }

  private noteTenant(name: string, now: number): void {
    if (name === this.onlyTenant) return;
    this.onlyTenant = name;
    this.onlySince = now;
  }

  private groupOf(task: T): TaskGroup<T> {
    const { batchKey, modelKey, policy } = task;
    let group = this.groupsByKey.get(batchKey);
    if (group === undefined) {
      if (this.groupsByKey.size >= this.groupsMax) this.forgetEmptyGroups();
      group = new TaskGroup<T>(batchKey, modelKey, policy);
      this.groupsByKey.set(batchKey, group);
    }
    return group;
  }

  private forgetEmptyGroups(): void {
    for (const [key, group] of this.groupsByKey) if (group.size === 0) this.groupsByKey.delete(key);
    // Where few were empty it is not tried again for each that comes.
    this.groupsMax = Math.max(groupsMax, 2 * this.groupsByKey.size);
  }

  /** @throws AxleError DEADLINE_EXCEEDED with the earliest time at which it could be done. */
  private refuseLate(task: T, group: TaskGroup<T>, now: number): void {
    const { deadlineAt } = task;
    if (deadlineAt === undefined) return;
    const needsMs = this.needsMs(task, group, now);
    if (needsMs <= 0 || now + needsMs <= deadlineAt) return;
    const leftMs = Math.max(0, deadlineAt - now).toFixed(1);
    throw AxleError.expected(
      'DEADLINE_EXCEEDED',
      `${this.options.device} needs about ${needsMs.toFixed(1)} ms for this and for what goes before it, and ` +
        `${leftMs} ms are left; ${lateAdvice}`,
      { earliestMs: needsMs },
    );
  }

  /** What a task takes at least until it is done, as far as that is sure. */
  private needsMs(task: T, group: TaskGroup<T>, now: number): number {
    const { policy } = task;
    const { parallel } = this.options;
    const slice = this.tenants.sliceOf(task.tenant, this.options.timeSliceOf?.(task.tenant));
    const knows = policy.predictable && group.latency.known;
    // Of tasks that others of their kind are ahead of: a single one is tried, so that a wrong estimate mends itself. Where
    // batches are made by deadlines, that choice refuses.
    const isJudged = knows && !policy.sloAware && !isQuiet(group);
    const aloneMs = knows ? expectedMs(group.work, itemsOf(task)) : 0;
    if (slice === undefined && !isJudged) return 0;
    const atOnce = Math.min(parallel, this.size + 1);
    const doneMs = msUntilDone(task, group, this.waitingGroups(), atOnce);
    const queuedMs = isJudged ? doneMs : 0;
    if (slice === undefined) return queuedMs;
    const aheadMs = isJudged ? Math.max(0, doneMs * atOnce - aloneMs) : 0;
    const sliceMs = slice.mayBeginAfter(aheadMs, now) - now;
    return sliceMs > 0 ? Math.max(queuedMs, sliceMs + aloneMs) : queuedMs;
  }

  private arrived({ tenant, weight }: Pick<T, 'tenant' | 'weight'>): Tenant {
    return this.tenants.arrive(tenant, weight, this.options.timeSliceOf?.(tenant));
  }

  private insert(task: T, group: TaskGroup<T>): void {
    const tenant = this.arrived(task);
    task.sequence = this.sequence++;
    task.group = group;
    task.lane = group.laneOf(task.priority, tenant);
    task.overdue = false;
    group.add(task as Waiting<T>);
    if (group.isFree) this.freeLanes.changed(task.lane);
    else if (group.place < 0) group.place = this.groups.push(group) - 1;
    this.size += 1;
    if (boundsOf(task).queueMax > 0) count(this.waitingOfQueue, queueKeyOf(task), 1);
  }

  private take(waiting: Waiting<T>): void {
    waiting.lane.queue.remove(waiting);
    this.left(waiting);
  }

  /** Accounts for a task that was taken out of its lane's queue. */
  private left(waiting: Waiting<T>): void {
    const { group, lane } = waiting;
    lane.tenant.waiting -= 1;
    if (group.isFree) this.freeLanes.changed(lane);
    group.left(waiting);
    this.size -= 1;
    if (boundsOf(waiting).queueMax > 0) count(this.waitingOfQueue, queueKeyOf(waiting), -1);
    this.dropIfEmpty(group);
  }

  private dropIfEmpty(group: TaskGroup<T>): void {
    if (group.size > 0) return;
    if (group.temporary) this.groupsByKey.delete(group.key);
    if (group.place < 0) return;
    const last = this.groups.pop() as TaskGroup<T>;
    if (last !== group) {
      this.groups[group.place] = last;
      last.place = group.place;
    }
    group.place = -1;
  }

  private *waitingGroups(): Generator<TaskGroup<T>> {
    yield* this.groups;
    yield* this.freeLanes.groups();
  }

  /** Tasks whose deadline or queue timeout has passed. */
  private takeOverdue(now: number): Decision<T> | undefined {
    for (const group of this.groups) {
      const expired: T[] = [];
      // Backwards: a lane goes when it is empty.
      for (let i = group.lanes.length - 1; i >= 0; i--) {
        const { queue } = group.lanes[i] as Lane<T>;
        for (let top = queue.peek(); top !== undefined && dueAt(top) <= now; top = queue.peek()) {
          expired.push(top);
          this.take(top);
        }
      }
      if (expired.length > 0) return { kind: 'dropped', tasks: expired, why: 'deadline' };
      for (const queue of group.queues) {
        const timedOut = queue.timedOut(now);
        if (timedOut.length === 0) continue;
        if (queue.bounds.onTimeout === 'delay') {
          for (const waiting of timedOut) group.delay(waiting);
          continue;
        }
        for (const waiting of timedOut) this.take(waiting);
        return { kind: 'dropped', tasks: timedOut, why: 'timeout' };
      }
    }
    return this.takeOverdueOfFree(now);
  }

  private takeOverdueOfFree(now: number): Decision<T> | undefined {
    for (const { lanes } of this.freeLanes.classes) {
      const lane = lanes.peek() as Lane<T>;
      // The first of its class: where its deadline has not passed, no other's has.
      if (dueAt(lane.first as Waiting<T>) > now) continue;
      const expired: T[] = [];
      for (let top = lane.queue.peek(); top !== undefined && dueAt(top) <= now;) {
        expired.push(top);
        this.take(top);
        top = lane.queue.peek();
      }
      return { kind: 'dropped', tasks: expired, why: 'deadline' };
    }
    return undefined;
  }

  /** The task whose batch goes now, or when to look again. */
  private chooseHead(now: number): { head: Waiting<T> | undefined; nextAt: number } {
    const heads: Waiting<T>[] = [];
    let nextAt = Infinity;
    for (const group of this.groups) {
      nextAt = Math.min(nextAt, group.nextDropAt());
      if (!this.mayStart(group)) continue;
      const ripeAt = this.ripeAt(group, now);
      if (ripeAt > now) {
        nextAt = Math.min(nextAt, ripeAt);
        continue;
      }
      for (const lane of group.lanes) {
        const beginAt = lane.tenant.slice?.mayBeginAt(now) ?? now;
        if (beginAt > now) nextAt = Math.min(nextAt, beginAt);
        else heads.push(lane.queue.peek() as Waiting<T>);
      }
    }
    for (const { lanes, tenant } of this.freeLanes.classes) {
      const head = (lanes.peek() as Lane<T>).first as Waiting<T>;
      nextAt = Math.min(nextAt, dueAt(head));
      if (!this.mayStart(head.group)) continue;
      const beginAt = tenant.slice?.mayBeginAt(now) ?? now;
      if (beginAt > now) nextAt = Math.min(nextAt, beginAt);
      else heads.push(head);
    }
    return { head: this.turns.firstOf(heads, now, () => this.largestBatchMs()), nextAt };
  }

  private mayStart(group: TaskGroup<T>): boolean {
    const { parallel, ahead } = this.options;
    const { instances } = group.policy;
    if (instances > 0 && (this.underWayOfModel.get(group.model) ?? 0) >= instances) return false;
    if (this.underWay < parallel) return true;
    if (this.underWay >= parallel + ahead) return false;
    const isFirstAhead = this.underWay < 2 * parallel;
    return group.work.known && batchMs(group) < (isFirstAhead ? shortBatchMs : tinyBatchMs);
  }

  /** When a group's batch goes without others: its oldest task waited for long enough, or a deadline is near. */
  private ripeAt(group: TaskGroup<T>, now: number): number {
    const { delayMs, sloAware } = group.policy;
    const oldest = group.oldest();
    const waitedEnough = delayMs === 0 || group.overdue > 0 || oldest === undefined;
    if (waitedEnough || group.itemsThatGo() > 0) return now;
    const ripeAt = oldest.offeredAt + delayMs;
    if (!sloAware || !group.latency.known) return ripeAt;
    return Math.min(ripeAt, group.earliestDeadline() - group.latency.atMostMs(group.items));
  }

  private largestBatchMs(): number {
    let largest = 0;
    for (const group of this.waitingGroups()) largest = Math.max(largest, batchMs(group));
    return largest;
  }

  private form(head: Waiting<T>, now: number): Decision<T> {
    const { group } = head;
    const { policy, latency } = group;
    // A task that is alone is tried whatever the estimate says, so that a wrong estimate mends itself.
    const inTime = policy.sloAware && latency.known && this.size > 1;
    if (inTime && group.earliestDeadline() < Infinity) return this.formInTime(head, now);
    const lanes = this.lanesInOrder(group, head.lane);
    return this.send(group, this.fill(group, lanes, this.itemsOfBatch(group, now), now), now);
  }

  private formInTime(head: Waiting<T>, now: number): Decision<T> {
    const { group, lane } = head;
    const { policy, latency } = group;
    // A task is never given up for one of lower priority.
    const lanes = this.lanesInOrder(group, lane).filter(
      ({ priority }) => priority === lane.priority,
    );
    const window = this.fill(group, lanes, policy.itemsMax * sloWindowBatches, now).sort(
      compareByDeadline,
    );
    const { parallel } = this.options;
    const choice =
      chooseSloBatch(window.map(sloTask), policy.itemsMax, latency, parallel, now) ??
      this.trial(window, group);
    const late = window.slice(0, choice?.first);
    const chosen = choice === undefined || late.length > 0 ? [] : window.slice(0, choice.count);
    for (const waiting of window.slice(late.length + chosen.length))
      waiting.lane.queue.push(waiting);
    if (late.length === 0) return this.send(group, chosen, now);
    for (const waiting of late) this.left(waiting);
    return { kind: 'dropped', tasks: late, why: 'late' };
  }

  /**
   * Where nothing seems to be in time and nothing of the kind is under way, what has the latest deadlines is tried: the
   * estimate may be wrong, and only a batch can mend it.
   */
  private trial(window: readonly Waiting<T>[], group: TaskGroup<T>): SloChoice | undefined {
    if (group.underWay > 0) return undefined;
    const { itemsMax } = group.policy;
    let first = window.length - 1;
    let items = itemsOf(window[first] as Waiting<T>);
    for (let i = first - 1; i >= 0; i--) {
      items += itemsOf(window[i] as Waiting<T>);
      if (items > itemsMax) break;
      first = i;
    }
    return { first, count: window.length - first };
  }

  /** What a batch of the group takes at most now: a share for each place that is free on the device, or will be soon. */
  private itemsOfBatch(group: TaskGroup<T>, now: number): number {
    const { itemsMax, preferredItems, delayMs } = group.policy;
    const goes = group.itemsThatGo();
    if (preferredItems.length > 0 && goes > 0) return goes;
    // What was waited for is not cut in pieces: the rest would wait for its own delay.
    if (delayMs > 0) return itemsMax;
    const left = this.options.parallel - this.underWay;
    const free = left > 0 ? left + this.soonFree(group, now) : 1;
    return Math.min(itemsMax, Math.ceil(group.items / free));
  }

  /** Places of batches that are about to be done. */
  private soonFree({ work, items }: TaskGroup<T>, now: number): number {
    if (items === 1 || !work.known) return 0;
    const byAt = now + soonFreePart * work.expectedMs(Math.ceil(items / 2));
    let places = 0;
    for (const { ahead, sentAt, chargedMs } of this.batchesOfMany) {
      if (!ahead && sentAt + chargedMs <= byAt) places += 1;
    }
    return places;
  }

  /** The tasks that may run with the first of the first lane, in their order, taken out of their lanes' queues. */
  private fill(
    group: TaskGroup<T>,
    lanes: readonly Lane<T>[],
    itemsMax: number,
    now: number,
  ): Waiting<T>[] {
    const [only] = lanes;
    const all = group.lanes.length === 1 && group.items <= itemsMax && group.size <= batchTasksMax;
    if (all && only !== undefined) return only.queue.drain();
    const filled: Waiting<T>[] = [];
    let items = 0;
    for (const lane of lanes) {
      if (filled.length > 0 && !this.mayRide(lane.tenant, group, now)) continue;
      for (let next = lane.queue.peek(); next !== undefined; next = lane.queue.peek()) {
        const size = itemsOf(next);
        if (filled.length > 0 && items + size > itemsMax) break;
        if (filled.length >= batchTasksMax) break;
        lane.queue.remove(next);
        filled.push(next);
        items += size;
      }
      if (items >= itemsMax) break;
    }
    return filled;
  }

  private lanesInOrder(group: TaskGroup<T>, first: Lane<T>): readonly Lane<T>[] {
    if (group.lanes.length === 1) return group.lanes;
    const others = group.lanes.filter((lane) => lane !== first);
    others.sort((a, b) => b.priority - a.priority || a.tenant.virtualMs - b.tenant.virtualMs);
    return [first, ...others];
  }

  /**
   * Whether a tenant may take places in another's batch: not when its slice is used up, or it is a largest batch ahead of one
   * that waits.
   */
  private mayRide(tenant: Tenant, group: TaskGroup<T>, now: number): boolean {
    if (tenant.slice !== undefined && tenant.slice.mayBeginAt(now) > now) return false;
    const leastMs = this.tenants.leastWaitingMs(tenant);
    const costMs = batchMs(group) / tenant.weight;
    return tenant.virtualMs + costMs <= leastMs + this.largestBatchMs();
  }

  private send(group: TaskGroup<T>, filled: readonly Waiting<T>[], now: number): Decision<T> {
    const tenants = filled.map(({ lane }) => lane.tenant);
    const batch = this.begin(group, filled, tenants, now);
    for (const waiting of filled) this.left(waiting);
    return { kind: 'batch', batch };
  }

  /** Accounts for a batch that goes to the device. */
  private begin(
    group: TaskGroup<T>,
    tasks: readonly T[],
    tenants: readonly Tenant[],
    now: number,
  ): SentBatch<T> {
    const { model, work, key, policy } = group;
    let items = 0;
    for (const task of tasks) items += itemsOf(task);
    const batch: SentBatch<T> = {
      tasks,
      items,
      batchKey: key,
      group,
      ahead: this.underWay >= this.options.parallel,
      chargedMs: expectedMs(work, items),
      sentAt: now,
      tenants,
    };
    if (policy.itemsMax > 1) this.batchesOfMany.push(batch);
    this.tenants.serve(leastServed(tenants));
    this.charge(batch, batch.chargedMs);
    this.payOwed(batch);
    this.underWay += 1;
    this.tasksSent += tasks.length;
    for (const tenant of tenants) tenant.sent += 1;
    group.underWay += 1;
    if (policy.instances > 0) count(this.underWayOfModel, model, 1);
    this.turns.lastModel = model;
    return batch;
  }

  private payOwed({ tasks, tenants, items, chargedMs }: SentBatch<T>): void {
    for (let i = 0; i < tasks.length; i++) {
      const share = itemsOf(tasks[i] as T) / items;
      this.tenants.payOwed(tenants[i] as Tenant, chargedMs * share);
    }
  }

  private landed(batch: SentBatch<T>): void {
    if (batch.group.policy.itemsMax === 1) return;
    const { batchesOfMany } = this;
    const last = batchesOfMany.pop();
    if (last === undefined || last === batch) return;
    const place = batchesOfMany.indexOf(batch);
    if (place >= 0) batchesOfMany[place] = last;
    else batchesOfMany.push(last);
  }

  private charge({ tasks, tenants, items }: SentBatch<T>, ms: number): void {
    for (let i = 0; i < tasks.length; i++) {
      const share = itemsOf(tasks[i] as T) / items;
      this.tenants.charge(tenants[i] as Tenant, ms * share);
    }
  }
}

function leastServed(tenants: readonly Tenant[]): Tenant {
  return tenants.reduce((least, tenant) => (tenant.virtualMs < least.virtualMs ? tenant : least));
}

function sloTask(task: TaskTraits): SloTask {
  return { items: itemsOf(task), deadlineAt: dueAt(task) };
}

/** Of the queue that a task is counted in where it has a bound. */
function queueKeyOf({ modelKey, policy, priority }: TaskTraits): string {
  return policy.levels === undefined ? modelKey : `${modelKey} ${priority}`;
}

function isQuiet<T extends Schedulable<T>>({ size, underWay }: TaskGroup<T>): boolean {
  return size === 0 && underWay === 0;
}

function queueFull(depth: number, of: string, most = ''): AxleError {
  return AxleError.expected(
    'RESOURCE_EXHAUSTED',
    `${depth} tasks wait for ${of} already${most}; try again later`,
  );
}

function count(counts: Map<string, number>, key: string, by: number): void {
  const next = (counts.get(key) ?? 0) + by;
  if (next === 0) counts.delete(key);
  else counts.set(key, next);
}
