import { Arrivals } from './arrivals.js';
import type { BatchPolicy, QueueBounds } from './batch-policy.js';
import { Heap, type HeapEntry } from './heap.js';
import { LatencyProfile } from './latency-profile.js';
import { boundsAmong } from './priority-levels.js';
import type { Tenant } from './tenants.js';

/** Below all priorities: tasks whose queue timeout has passed, of models without levels. */
const delayedPriority = -Infinity;
/** Of a task whose queue timeout has passed, where there are levels: behind all others of its own. */
const delayedByLevels = 0.5;

/** What the scheduler looks at in a task; the rest of it is the caller's. */
export interface TaskTraits {
  /** Tasks with equal keys may run as one batch. */
  readonly batchKey: string;
  /** What the device must have ready to run it; '' = nothing. */
  readonly modelKey: string;
  /** Equal for equal batch keys. */
  readonly policy: BatchPolicy;
  /** Size in the batch dimension; 0 counts as 1. */
  readonly items: number;
  /** Higher goes first. */
  readonly priority: number;
  /** On the scheduler's clock; undefined = none. */
  readonly deadlineAt: number | undefined;
  readonly tenant: string;
  /** The tenant's share of device time, over 0. */
  readonly weight: number;
}

/**
 * A task that can wait in a scheduler's queue. It is itself the entry of the queue, and not what an entry holds: one
 * object less for each call. Only the scheduler writes what is no trait.
 */
export interface Schedulable<T extends Schedulable<T>> extends TaskTraits, HeapEntry {
  /** Order of arrival. */
  sequence: number;
  offeredAt: number;
  /** Undefined before it is offered, as is `lane`. */
  group: TaskGroup<T> | undefined;
  lane: Lane<T> | undefined;
  /** Its queue timeout has passed, and it runs after all others. */
  overdue: boolean;
}

/** A task in the queue. */
export type Waiting<T extends Schedulable<T>> = T & { readonly group: TaskGroup<T>; lane: Lane<T> };

/** Infinity = none. */
export function dueAt({ deadlineAt }: TaskTraits): number {
  return deadlineAt ?? Infinity;
}

/** What bounds its wait: equal objects for tasks of one queue. */
export function boundsOf({ policy, priority }: TaskTraits): QueueBounds {
  const { levels } = policy;
  return levels === undefined ? policy : boundsAmong(levels, priority, policy);
}

/** What a task counts for in a batch: an empty one is work too. */
export function itemsOf({ items }: TaskTraits): number {
  return Math.max(1, items);
}

/** The earliest deadline goes first, then the order of arrival. */
export function compareByDeadline<T extends TaskTraits & { readonly sequence: number }>(
  a: T,
  b: T,
): number {
  const [aDue, bDue] = [dueAt(a), dueAt(b)];
  return aDue === bDue ? a.sequence - b.sequence : aDue - bDue;
}

/** Waiting tasks of one group, priority and tenant: earliest deadline first, then in order of arrival. */
export interface Lane<T extends Schedulable<T>> extends HeapEntry {
  readonly priority: number;
  readonly tenant: Tenant;
  readonly queue: Heap<Waiting<T>>;
  /** By which it has its place among the free lanes; undefined = it is not there. Only they write it. */
  first: Waiting<T> | undefined;
}

/** Waiting tasks of one batch key: those that may run together. */
export class TaskGroup<T extends Schedulable<T>> {
  /** Those with waiting tasks. */
  readonly lanes: Lane<T>[] = [];
  /** Its tasks wait for the device alone: not for others, or an instance, and no queue of the model bounds them. */
  readonly isFree: boolean;
  /** Among the groups with waiting tasks that are not free; -1 = not there. Only the scheduler writes it. */
  place = -1;
  /** Its batches on the device. */
  underWay = 0;
  /** Of a batch that failed: forgotten when it is empty. */
  temporary = false;
  /** What the device works on a batch: what its tenants are charged. */
  readonly work = new LatencyProfile();
  /** What a batch takes from when it is sent until its results are here: what deadlines are held against. */
  readonly latency = new LatencyProfile();
  /** Tasks that wait. */
  size = 0;
  /** Items that wait. */
  items = 0;
  /** Tasks that wait and are overdue. */
  overdue = 0;
  /** By what bounds them; more than one where the model has priority levels. */
  readonly queues: Arrivals<T>[];
  /** The lane that emptied last, for when it fills again. */
  private spare: Lane<T> | undefined;

  constructor(
    readonly key: string,
    /** What the device must have ready to run it. */
    readonly model: string,
    readonly policy: BatchPolicy,
  ) {
    this.isFree = model === '' && waitsForNothing(policy);
    this.queues = [new Arrivals(this, policy)];
  }

  laneOf(priority: number, tenant: Tenant): Lane<T> {
    for (const lane of this.lanes) {
      if (lane.priority === priority && lane.tenant === tenant) return lane;
    }
    const { spare } = this;
    const lane =
      spare?.priority === priority && spare.tenant === tenant
        ? spare
        : {
            priority,
            tenant,
            queue: new Heap<Waiting<T>>(goesBefore),
            first: undefined,
            heapIndex: -1,
          };
    this.lanes.push(lane);
    return lane;
  }

  add(waiting: Waiting<T>): void {
    this.queueOf(boundsOf(waiting)).push(waiting);
    waiting.lane.queue.push(waiting);
    this.size += 1;
    this.items += itemsOf(waiting);
  }

  /** To be called when a task was taken out of its lane's queue. */
  left(waiting: Waiting<T>): void {
    this.dropIfEmpty(waiting.lane);
    this.size -= 1;
    if (waiting.overdue) this.overdue -= 1;
    this.items -= itemsOf(waiting);
    if (this.size > 0) return;
    for (const queue of this.queues) queue.clear();
  }

  /** Moves a task whose timeout has passed behind all others, or all of its priority level. */
  delay(waiting: Waiting<T>): void {
    const { lane } = waiting;
    lane.queue.remove(waiting);
    this.dropIfEmpty(lane);
    const hasLevels = this.policy.levels !== undefined;
    const priority = hasLevels ? waiting.priority - delayedByLevels : delayedPriority;
    waiting.lane = this.laneOf(priority, lane.tenant);
    waiting.lane.queue.push(waiting);
    waiting.overdue = true;
    this.overdue += 1;
  }

  /** The task that waits longest, but for those that are overdue. */
  oldest(): Waiting<T> | undefined {
    const { queues } = this;
    let oldest = (queues[0] as Arrivals<T>).oldest();
    for (let i = 1; i < queues.length; i++) {
      const other = (queues[i] as Arrivals<T>).oldest();
      if (other !== undefined && (oldest === undefined || other.sequence < oldest.sequence)) {
        oldest = other;
      }
    }
    return oldest;
  }

  /** When the next task is to be dropped: for its deadline, or because its queue refuses it. */
  nextDropAt(): number {
    let at = this.earliestDeadline();
    for (const queue of this.queues) at = Math.min(at, queue.nextRefusedAt());
    return at;
  }

  /** The earliest deadline of those that wait; Infinity without any. */
  earliestDeadline(): number {
    let earliest = Infinity;
    for (const { queue } of this.lanes) {
      earliest = Math.min(earliest, queue.peek()?.deadlineAt ?? Infinity);
    }
    return earliest;
  }

  /** How large a batch may go now without waiting for more; 0 when none may. */
  itemsThatGo(): number {
    const { itemsMax, preferredItems } = this.policy;
    if (this.items >= itemsMax) return itemsMax;
    for (let i = preferredItems.length - 1; i >= 0; i--) {
      const preferred = preferredItems[i] as number;
      if (this.items >= preferred) return preferred;
    }
    return 0;
  }

  private queueOf(bounds: QueueBounds): Arrivals<T> {
    const { queues } = this;
    for (const queue of queues) if (queue.bounds === bounds) return queue;
    const queue = new Arrivals(this, bounds);
    queues.push(queue);
    return queue;
  }

  private dropIfEmpty(lane: Lane<T>): void {
    if (lane.queue.size > 0) return;
    const index = this.lanes.indexOf(lane);
    if (index < 0) return;
    this.lanes.splice(index, 1);
    this.spare = lane;
  }
}

/** Of two lanes with tasks, the one whose first task goes first. */
export function firstGoesBefore<T extends Schedulable<T>>(a: Lane<T>, b: Lane<T>): boolean {
  return goesBefore(a.first as Waiting<T>, b.first as Waiting<T>);
}

function waitsForNothing({
  delayMs,
  instances,
  queueTimeoutMs,
  levels,
  sloAware,
}: BatchPolicy): boolean {
  return (
    delayMs === 0 && instances === 0 && queueTimeoutMs === 0 && levels === undefined && !sloAware
  );
}

function goesBefore<T extends TaskTraits & { readonly sequence: number }>(a: T, b: T): boolean {
  const [aDue, bDue] = [dueAt(a), dueAt(b)];
  return aDue !== bDue ? aDue < bDue : a.sequence < b.sequence;
}
