import { AxleError } from './errors.js';

/** What the scheduler looks at in a task; the rest of it is the caller's. */
export interface Schedulable {
  /** Tasks with equal keys may run as one batch; undefined = always alone. */
  readonly batchKey: string | undefined;
  /** Size in the batch dimension. */
  readonly items: number;
  readonly batchItemsMax: number;
  /** How long it may wait for others to fill a batch, milliseconds. */
  readonly batchDelayMs: number;
  /** Higher goes first. */
  readonly priority: number;
  /** On the scheduler's clock; undefined = none. */
  readonly deadlineAt: number | undefined;
  readonly tenant: string;
}

export type Decision<T> =
  /** Send these now, together. */
  | { readonly kind: 'batch'; readonly tasks: readonly T[] }
  /** Deadline passed while they waited: they are out of the queue and must not be sent. */
  | { readonly kind: 'expired'; readonly tasks: readonly T[] }
  /** Nothing before this time, unless a task is offered or a batch finishes. */
  | { readonly kind: 'wait'; readonly untilAt: number }
  /** Nothing until a task is offered or a batch finishes. */
  | { readonly kind: 'idle' };

export interface SchedulerOptions {
  /** Batches under way at once. */
  readonly slots: number;
  /** Tasks that wait; one more is refused. */
  readonly queueDepthMax: number;
  /** For messages. */
  readonly device: string;
}

/** Most tasks of one batch: what the plugin ABI takes in one submit (AXLE_SUBMIT_MAX). */
export const batchTasksMax = 1024;

interface Entry<T> {
  readonly task: T;
  readonly sequence: number;
  readonly offeredAt: number;
}

/**
 * Decides when the tasks of one device run, and with whom in a batch. Pure: no timers, no I/O, and the time comes in
 * with each call, so that it is tested and simulated in virtual time. Order: higher priority first, then earliest
 * deadline, then arrival.
 */
export class Scheduler<T extends Schedulable> {
  private readonly queue: Entry<T>[] = [];
  private sequence = 0;
  private underWay = 0;

  constructor(private readonly options: SchedulerOptions) {}

  get waiting(): number {
    return this.queue.length;
  }

  get running(): number {
    return this.underWay;
  }

  /** @throws AxleError RESOURCE_EXHAUSTED when the queue is full. */
  offer(task: T, now: number): void {
    if (this.queue.length >= this.options.queueDepthMax) {
      throw new AxleError(
        'RESOURCE_EXHAUSTED',
        `${this.options.queueDepthMax} tasks wait for ${this.options.device} already; try again later`,
      );
    }
    this.insert(task, now);
  }

  /** Puts a task back that was admitted before and ran in a batch that failed; the bound does not count it again. */
  readmit(task: T, now: number): void {
    this.insert(task, now);
  }

  /** Takes a waiting task out; false when it is not waiting. */
  remove(task: T): boolean {
    const index = this.queue.findIndex((entry) => entry.task === task);
    if (index < 0) return false;
    this.queue.splice(index, 1);
    return true;
  }

  /** To be called again and again until it says wait or idle. A batch that it gives takes a slot until `finished`. */
  poll(now: number): Decision<T> {
    const expired = this.takeExpired(now);
    if (expired.length > 0) return { kind: 'expired', tasks: expired };
    if (this.underWay >= this.options.slots) return { kind: 'idle' };
    let nextAt = Infinity;
    const seen = new Set<string>();
    for (const entry of this.queue) {
      const key = entry.task.batchKey;
      if (key !== undefined && seen.has(key)) continue;
      if (key !== undefined) seen.add(key);
      const batch = this.batchFrom(entry);
      const ripeAt = batch.full ? now : entry.offeredAt + entry.task.batchDelayMs;
      if (ripeAt <= now) return { kind: 'batch', tasks: this.take(batch.entries) };
      nextAt = Math.min(nextAt, ripeAt);
    }
    return nextAt === Infinity ? { kind: 'idle' } : { kind: 'wait', untilAt: nextAt };
  }

  /** A batch is done, whatever came of it. */
  finished(): void {
    this.underWay -= 1;
  }

  private insert(task: T, now: number): void {
    const entry = { task, sequence: this.sequence++, offeredAt: now };
    this.queue.splice(this.positionFor(entry), 0, entry);
  }

  private positionFor(entry: Entry<T>): number {
    let low = 0;
    let high = this.queue.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (goesBefore(entry, this.queue[middle] as Entry<T>)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  private takeExpired(now: number): T[] {
    const expired: T[] = [];
    for (let i = this.queue.length - 1; i >= 0; i--) {
      const { task } = this.queue[i] as Entry<T>;
      if (task.deadlineAt === undefined || task.deadlineAt > now) continue;
      expired.push(task);
      this.queue.splice(i, 1);
    }
    return expired.reverse();
  }

  /** `head` with those that may run with it, in order, shared out over the free slots. */
  private batchFrom(head: Entry<T>): { entries: Entry<T>[]; full: boolean } {
    const { batchKey, batchItemsMax } = head.task;
    if (batchKey === undefined) return { entries: [head], full: true };
    const alike = this.queue.filter((entry) => entry.task.batchKey === batchKey);
    const waitingItems = alike.reduce((sum, entry) => sum + entry.task.items, 0);
    const free = this.options.slots - this.underWay;
    const share = Math.min(batchItemsMax, Math.ceil(waitingItems / free));
    const entries: Entry<T>[] = [];
    let items = 0;
    for (const entry of alike) {
      if (entries.length > 0 && items + entry.task.items > share) break;
      if (entries.length >= batchTasksMax) break;
      entries.push(entry);
      items += entry.task.items;
    }
    return { entries, full: waitingItems >= batchItemsMax };
  }

  private take(entries: readonly Entry<T>[]): T[] {
    for (const entry of entries) this.queue.splice(this.queue.indexOf(entry), 1);
    this.underWay += 1;
    return entries.map((entry) => entry.task);
  }
}

function goesBefore<T extends Schedulable>(a: Entry<T>, b: Entry<T>): boolean {
  if (a.task.priority !== b.task.priority) return a.task.priority > b.task.priority;
  const aDeadline = a.task.deadlineAt ?? Infinity;
  const bDeadline = b.task.deadlineAt ?? Infinity;
  if (aDeadline !== bDeadline) return aDeadline < bDeadline;
  return a.sequence < b.sequence;
}
