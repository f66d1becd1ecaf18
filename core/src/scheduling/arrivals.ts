import type { QueueBounds } from './batch-policy.js';
import type { Schedulable, TaskGroup, Waiting } from './task-group.js';

/** Tasks that left are cut off when there are more of them than that, and than of the others. */
const goneMax = 32;

/** The tasks of a group that wait under the same bounds, in order of arrival. */
export class Arrivals<T extends Schedulable<T>> {
  /** Those that left are skipped when they come to the front. */
  private readonly tasks: Waiting<T>[] = [];
  private front = 0;

  constructor(
    private readonly group: TaskGroup<T>,
    readonly bounds: QueueBounds,
  ) {}

  push(waiting: Waiting<T>): void {
    this.tasks.push(waiting);
  }

  /** The task that waits longest, but for those that are overdue: they are looked at once. */
  oldest(): Waiting<T> | undefined {
    let first = this.tasks[this.front];
    while (first !== undefined && !this.isInTurn(first)) {
      this.front += 1;
      first = this.tasks[this.front];
    }
    if (this.front > goneMax && this.front * 2 > this.tasks.length) {
      this.tasks.splice(0, this.front);
      this.front = 0;
    }
    return first;
  }

  /** Those whose queue timeout has passed, and that are not known to be overdue yet. */
  timedOut(now: number): Waiting<T>[] {
    const { queueTimeoutMs } = this.bounds;
    const overdue: Waiting<T>[] = [];
    const oldest = queueTimeoutMs === 0 ? undefined : this.oldest();
    if (oldest === undefined || oldest.offeredAt + queueTimeoutMs > now) return overdue;
    for (let i = this.front; i < this.tasks.length; i++) {
      const waiting = this.tasks[i] as Waiting<T>;
      if (!this.isInTurn(waiting)) continue;
      if (waiting.offeredAt + queueTimeoutMs > now) break;
      overdue.push(waiting);
    }
    return overdue;
  }

  /** When the next task is to be refused; Infinity: none is. */
  nextRefusedAt(): number {
    const { queueTimeoutMs, onTimeout } = this.bounds;
    if (queueTimeoutMs === 0 || onTimeout === 'delay') return Infinity;
    const oldest = this.oldest();
    return oldest === undefined ? Infinity : oldest.offeredAt + queueTimeoutMs;
  }

  /** To be called when no task of the group waits. */
  clear(): void {
    this.tasks.length = 0;
    this.front = 0;
  }

  /** A task that left may wait in another group since. */
  private isInTurn(task: Waiting<T>): boolean {
    return task.group === this.group && task.heapIndex >= 0 && !task.overdue;
  }
}
