import type { LatencyProfile } from './latency-profile.js';
import { dueAt, itemsOf, type Schedulable, type TaskGroup } from './task-group.js';

/** What an unknown batch is taken to cost, milliseconds an item. */
const unknownMsPerItem = 1;

/** What a batch of so many items is expected to take. */
export function expectedMs(profile: LatencyProfile, items: number): number {
  return profile.known ? profile.expectedMs(items) : items * unknownMsPerItem;
}

/** What the largest batch that a group can form now is expected to take. */
export function batchMs<T extends Schedulable<T>>({ work, items, policy }: TaskGroup<T>): number {
  return expectedMs(work, Math.min(items, policy.itemsMax));
}

/** What items of a group take when they run in the largest batches; 0 where that is not known. */
function bestMs<T extends Schedulable<T>>({ work, policy }: TaskGroup<T>, items: number): number {
  if (!work.known) return 0;
  const { itemsMax } = policy;
  const whole = Math.floor(items / itemsMax);
  const rest = items - whole * itemsMax;
  return whole * work.expectedMs(itemsMax) + (rest > 0 ? work.expectedMs(rest) : 0);
}

/** Items of the task's own tenant that go before it. */
function itemsAhead<T extends Schedulable<T>>(group: TaskGroup<T>, task: T): number {
  let items = 0;
  for (const { priority, tenant, queue } of group.lanes) {
    if (tenant.name !== task.tenant || priority < task.priority) continue;
    for (const waiting of queue.values()) {
      const before = priority > task.priority || dueAt(waiting) <= dueAt(task);
      if (before) items += itemsOf(waiting);
    }
  }
  return items;
}

/**
 * When a task that comes now would be done, at the best: after only what is sure to go before it, its own tenant's, and
 * that in the largest batches.
 *
 * @param groups those with waiting tasks
 * @param parallel batches of those tasks that are computed at once
 */
export function msUntilDone<T extends Schedulable<T>>(
  task: T,
  ownGroup: TaskGroup<T>,
  groups: Iterable<TaskGroup<T>>,
  parallel: number,
): number {
  // Not among the groups while none of its tasks waits.
  let ms = ownGroup.size === 0 ? bestMs(ownGroup, task.items) : 0;
  for (const group of groups) {
    const ahead = itemsAhead(group, task) + (group === ownGroup ? task.items : 0);
    if (ahead > 0) ms += bestMs(group, ahead);
  }
  return ms / parallel;
}
