import { alonePolicy, type BatchPolicy } from '../../src/scheduling/batch-policy.js';
import type { Batch, BatchTimes, Decision } from '../../src/scheduling/decision.js';
import { Scheduler, type SchedulerOptions } from '../../src/scheduling/scheduler.js';
import type { Schedulable } from '../../src/scheduling/task-group.js';

export interface TestTask extends Schedulable<TestTask> {
  readonly name: string;
}

/** Policies of equal settings for tests: up to 4 items, nothing waits. */
export function policy(overrides: Partial<BatchPolicy> = {}): BatchPolicy {
  return { ...alonePolicy, itemsMax: 4, predictable: true, ...overrides };
}

export function task(name: string, overrides: Partial<TestTask> = {}): TestTask {
  const { batchKey = 'm' } = overrides;
  return {
    name,
    batchKey,
    modelKey: batchKey,
    policy: policy(),
    items: 1,
    priority: 0,
    deadlineAt: undefined,
    tenant: 't',
    weight: 1,
    heapIndex: -1,
    sequence: 0,
    offeredAt: 0,
    overdue: false,
    group: undefined,
    lane: undefined,
    ...overrides,
  };
}

export function schedulerWith(options: Partial<SchedulerOptions> = {}): Scheduler<TestTask> {
  return new Scheduler({ parallel: 1, ahead: 0, queueDepthMax: 100, device: 'test:0', ...options });
}

export function tasksOf(decision: Decision<TestTask>): readonly TestTask[] {
  if (decision.kind === 'batch') return decision.batch.tasks;
  return decision.kind === 'dropped' ? decision.tasks : [];
}

export function namesOf(decision: Decision<TestTask>): string[] {
  return tasksOf(decision).map(({ name }) => name);
}

export function batchOf(decision: Decision<TestTask>): Batch<TestTask> {
  if (decision.kind === 'batch') return decision.batch;
  throw new Error(`a batch was expected, not ${decision.kind}`);
}

/** Runs batches of one task until the scheduler knows that `items` items take `msOf(items)`. */
export function teach(
  scheduler: Scheduler<TestTask>,
  overrides: Partial<TestTask>,
  msOf: (items: number) => number,
): void {
  for (const items of [1, 2, 4, 1, 2, 4]) {
    scheduler.offer(task('lesson', { ...overrides, items, deadlineAt: undefined }), 0);
    const batch = batchOf(scheduler.poll(Number.MAX_SAFE_INTEGER));
    scheduler.finished(batch, took(msOf(batch.items)));
  }
}

/** A batch that was all work. */
export function took(ms: number): BatchTimes {
  return { workMs: ms, latencyMs: ms };
}
