import type { LatencyProfile } from './latency-profile.js';

/** What the choice looks at in a task. */
export interface SloTask {
  readonly items: number;
  /** Infinity = none. */
  readonly deadlineAt: number;
}

/** The tasks `first`..`first + count - 1` are the batch; those before it are given up. */
export interface SloChoice {
  readonly first: number;
  readonly count: number;
}

/**
 * Chooses the batch that makes the best use of the device under deadlines. While all tasks can still be served in
 * their order, the batch is the longest that the first deadline allows. Once they cannot, the first ones hold the rest
 * up with small batches, so that they are passed over where a larger batch serves more tasks for each millisecond
 * (early drop; Shen et al., "Nexus", SOSP 2019).
 *
 * Tasks without a deadline fill places that are free. They never put out others, nor are they given up.
 *
 * @param tasks in the order in which they are to be served: by deadline.
 * @param parallel batches that the device computes at once.
 * @returns undefined when none of them can make its deadline.
 */
export function chooseSloBatch(
  tasks: readonly SloTask[],
  itemsMax: number,
  profile: LatencyProfile,
  parallel: number,
  now: number,
): SloChoice | undefined {
  const all = tasks.length;
  const inOrder = longestInTime(tasks, 0, all, itemsMax, profile, now);
  if (inOrder > 0 && allInTime(tasks, inOrder, itemsMax, profile, parallel, now)) {
    return { first: 0, count: inOrder };
  }
  const due = countDue(tasks);
  // Where no deadline can be met, those without one are next.
  let bestFirst = due;
  let bestRate = 0;
  for (let first = 0; first < due; first++) {
    const count = longestInTime(tasks, first, due, itemsMax, profile, now);
    if (count === 0) continue;
    const rate = count / profile.atMostMs(itemsOf(tasks, first, count));
    if (rate > bestRate) {
      bestFirst = first;
      bestRate = rate;
    }
    // A later start finds fewer tasks and no larger batch.
    if (itemsOf(tasks, first, count) >= itemsMax || first + count === due) break;
  }
  const count = longestInTime(tasks, bestFirst, all, itemsMax, profile, now);
  return count === 0 ? undefined : { first: bestFirst, count };
}

/** Those with a deadline come first. */
function countDue(tasks: readonly SloTask[]): number {
  const free = tasks.findIndex(({ deadlineAt }) => deadlineAt === Infinity);
  return free < 0 ? tasks.length : free;
}

/** How many tasks from `first` on, up to `end`, are all in time as one batch that starts at `startAt`. */
function longestInTime(
  tasks: readonly SloTask[],
  first: number,
  end: number,
  itemsMax: number,
  profile: LatencyProfile,
  startAt: number,
): number {
  let items = 0;
  let earliest = Infinity;
  let count = 0;
  for (let i = first; i < end; i++) {
    const task = tasks[i] as SloTask;
    items += task.items;
    earliest = Math.min(earliest, task.deadlineAt);
    if (count > 0 && items > itemsMax) break;
    if (startAt + profile.atMostMs(items) > earliest) break;
    count += 1;
  }
  return count;
}

/** Whether the tasks after the first batch are in time too when they follow it batch by batch. */
function allInTime(
  tasks: readonly SloTask[],
  firstCount: number,
  itemsMax: number,
  profile: LatencyProfile,
  parallel: number,
  now: number,
): boolean {
  let next = firstCount;
  let startAt = now + profile.expectedMs(itemsOf(tasks, 0, firstCount)) / parallel;
  while (next < tasks.length) {
    const count = longestInTime(tasks, next, tasks.length, itemsMax, profile, startAt);
    if (count === 0) return false;
    startAt += profile.expectedMs(itemsOf(tasks, next, count)) / parallel;
    next += count;
  }
  return true;
}

function itemsOf(tasks: readonly SloTask[], first: number, count: number): number {
  let items = 0;
  for (let i = first; i < first + count; i++) items += (tasks[i] as SloTask).items;
  return items;
}
