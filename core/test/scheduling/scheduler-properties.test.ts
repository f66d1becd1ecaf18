import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { BatchPolicy } from '../../src/scheduling/batch-policy.js';
import type { Batch } from '../../src/scheduling/decision.js';
import type { Scheduler } from '../../src/scheduling/scheduler.js';
import { boundsOf } from '../../src/scheduling/task-group.js';
import { policy, schedulerWith, task, took, type TestTask } from './test-task.js';

/** One policy for each key, as the scheduler asks for. */
const policies: Readonly<Record<string, BatchPolicy>> = {
  alone: policy({ itemsMax: 1, predictable: false }),
  plain: policy({ itemsMax: 4 }),
  slow: policy({ itemsMax: 6, delayMs: 4 }),
  preferring: policy({ itemsMax: 8, preferredItems: [2, 4], delayMs: 3 }),
  single: policy({ itemsMax: 3, instances: 1 }),
  aware: policy({ itemsMax: 5, sloAware: true }),
  impatient: policy({ itemsMax: 2, queueTimeoutMs: 12 }),
  lenient: policy({ itemsMax: 3, queueTimeoutMs: 5, onTimeout: 'delay', delayMs: 2 }),
  free: policy({ itemsMax: 1, predictable: false }),
  freeToo: policy({ itemsMax: 3, predictable: false }),
  levelled: policy({
    itemsMax: 4,
    queueMax: 6,
    levels: {
      count: 102,
      defaultLevel: 101,
      bounds: [
        { level: 100, queueMax: 0, queueTimeoutMs: 9, onTimeout: 'reject' },
        { level: 102, queueMax: 2, queueTimeoutMs: 4, onTimeout: 'delay' },
      ],
    },
  }),
};

const offering = fc.record({
  batchKey: fc.constantFrom(...Object.keys(policies)),
  // An empty batch counts as one item.
  items: fc.integer({ min: 0, max: 7 }),
  priority: fc.integer({ min: -1, max: 1 }),
  timeLeft: fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined }),
  tenant: fc.constantFrom('a', 'b', 'c'),
});
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ offer: offering }) },
  { weight: 2, arbitrary: fc.record({ pass: fc.integer({ min: 0, max: 6 }) }) },
  { weight: 3, arbitrary: fc.record({ finish: fc.nat(), failed: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ cancel: fc.nat() }) },
);
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

interface Offered {
  readonly task: TestTask;
  readonly offeredAt: number;
}

/** A device in virtual time, which checks what the scheduler decides against what waits. */
class Simulation {
  now = 0;
  readonly waiting = new Map<string, Offered>();
  readonly underWay: Batch<TestTask>[] = [];
  /** How often each task left: sent, dropped, cancelled or refused. */
  readonly gone = new Map<string, number>();
  offered = 0;

  constructor(
    private readonly scheduler: Scheduler<TestTask>,
    private readonly parallel: number,
    private readonly ahead: number,
    private readonly depthMax: number,
  ) {}

  run(actions: readonly Action[]): void {
    for (const step of actions) {
      if ('offer' in step) this.offer(step.offer);
      else if ('pass' in step) this.now += step.pass;
      else if ('cancel' in step) this.cancel(step.cancel);
      else this.finish(step.finish, step.failed);
      this.drain();
    }
    while (this.waiting.size > 0) {
      this.now += 1;
      while (this.underWay.length > 0) this.finish(0, false);
      this.drain();
    }
  }

  private offer({
    timeLeft,
    ...fields
  }: typeof offering extends fc.Arbitrary<infer O> ? O : never) {
    const name = `t${this.offered++}`;
    const offered = task(name, {
      ...fields,
      policy: policies[fields.batchKey] as BatchPolicy,
      // Ops without a model wait for the device alone, and are kept by themselves.
      modelKey: fields.batchKey.startsWith('free') ? '' : fields.batchKey,
      deadlineAt: timeLeft === undefined ? undefined : this.now + timeLeft,
    });
    try {
      this.scheduler.offer(offered, this.now);
      this.waiting.set(name, { task: offered, offeredAt: this.now });
    } catch (error) {
      expect(error).toMatchObject({ code: /RESOURCE_EXHAUSTED|DEADLINE_EXCEEDED/ });
      this.leaves(name);
    }
    expect(this.waiting.size).toBeLessThanOrEqual(this.depthMax);
    this.checkQueueOf(offered);
    expect(this.scheduler.waiting).toBe(this.waiting.size);
  }

  /** A queue with a bound of its own keeps it. */
  private checkQueueOf(offered: TestTask): void {
    const { queueMax } = boundsOf(offered);
    if (queueMax === 0) return;
    const inQueue = [...this.waiting.values()].filter(
      ({ task: { batchKey, priority } }) =>
        batchKey === offered.batchKey && priority === offered.priority,
    );
    expect(inQueue.length).toBeLessThanOrEqual(queueMax);
  }

  private cancel(which: number): void {
    const entries = [...this.waiting.values()];
    const chosen = entries[which % Math.max(1, entries.length)];
    if (chosen === undefined) return;
    expect(this.scheduler.remove(chosen.task)).toBe(true);
    this.leaves(chosen.task.name);
  }

  private finish(which: number, failed: boolean): void {
    const [batch] = this.underWay.splice(which % Math.max(1, this.underWay.length), 1);
    if (batch !== undefined) {
      const times = took(1 + batch.items / 2);
      this.scheduler.finished(batch, failed ? { ...times, workMs: undefined } : times);
    }
  }

  private drain(): void {
    for (;;) {
      const decision = this.scheduler.poll(this.now);
      if (decision.kind === 'batch') {
        this.checkBatch(decision.batch);
        this.underWay.push(decision.batch);
        for (const { name } of decision.batch.tasks) this.leaves(name);
      } else if (decision.kind === 'dropped') {
        expect(decision.tasks.length).toBeGreaterThan(0);
        for (const dropped of decision.tasks) {
          // Without a deadline nothing is given up for others.
          const { queueTimeoutMs, onTimeout } = boundsOf(dropped);
          const mayTimeOut = queueTimeoutMs > 0 && onTimeout === 'reject';
          expect(dropped.deadlineAt !== undefined || mayTimeOut).toBe(true);
        }
        for (const { name } of decision.tasks) this.leaves(name);
      } else {
        if (decision.kind === 'wait') expect(decision.untilAt).toBeGreaterThan(this.now);
        break;
      }
    }
    this.checkNotIdle();
  }

  private leaves(name: string): void {
    this.waiting.delete(name);
    this.gone.set(name, (this.gone.get(name) ?? 0) + 1);
  }

  private checkBatch({ tasks, items }: Batch<TestTask>): void {
    const [head] = tasks as [TestTask];
    expect(this.underWay.length).toBeLessThan(this.parallel + this.ahead);
    expect(new Set(tasks.map(({ batchKey }) => batchKey)).size).toBe(1);
    expect(items).toBe(tasks.reduce((sum, { items: each }) => sum + Math.max(1, each), 0));
    expect(tasks.length === 1 || items <= head.policy.itemsMax).toBe(true);
    for (const { deadlineAt } of tasks) expect(deadlineAt ?? Infinity).toBeGreaterThan(this.now);
    const { instances } = head.policy;
    const same = this.underWay.filter(({ batchKey }) => batchKey === head.batchKey).length;
    expect(instances === 0 || same < instances).toBe(true);
    const sent = new Set(tasks.map(({ name }) => name));
    for (const other of this.waiting.values())
      if (!sent.has(other.task.name)) this.checkPassedOver(other, tasks);
  }

  /** Earliest deadline first within a priority and tenant; higher priority first among all that may run. */
  private checkPassedOver({ task: other, offeredAt }: Offered, tasks: readonly TestTask[]): void {
    const [head] = tasks as [TestTask];
    const deadlineOf = ({ deadlineAt }: TestTask) => deadlineAt ?? Infinity;
    for (const sent of tasks) {
      const alike =
        sent.tenant === other.tenant && this.priorityOf(sent) === this.priorityOf(other);
      if (alike && sent.batchKey === other.batchKey) {
        expect(deadlineOf(sent)).toBeLessThanOrEqual(deadlineOf(other));
      }
    }
    if (!this.couldRun(other, offeredAt)) return;
    expect(this.priorityOf(other)).toBeLessThanOrEqual(this.priorityOf(head));
    if (this.priorityOf(other) === this.priorityOf(head) && other.tenant === head.tenant) {
      expect(deadlineOf(head)).toBeLessThanOrEqual(deadlineOf(other));
    }
  }

  /** Of a waiting task; those that are overdue and may be delayed come after all others, or after those of their level. */
  private priorityOf(waiting: TestTask): number {
    const { name, priority, policy: its } = waiting;
    const { offeredAt } = this.waiting.get(name) as Offered;
    const { queueTimeoutMs, onTimeout } = boundsOf(waiting);
    const overdue = queueTimeoutMs > 0 && offeredAt + queueTimeoutMs <= this.now;
    if (!overdue || onTimeout === 'reject') return priority;
    return its.levels === undefined ? -Infinity : priority - 0.5;
  }

  /** Whether a waiting task is past its delay, or a batch of its kind is full, and its model has an instance free. */
  private couldRun({ policy: its, batchKey }: TestTask, offeredAt: number): boolean {
    const same = this.underWay.filter((batch) => batch.batchKey === batchKey).length;
    if (its.instances > 0 && same >= its.instances) return false;
    // A batch ahead of a busy device must be short, which tasks of no other kind than this one are known to be.
    if (this.underWay.length >= this.parallel) return false;
    const items = [...this.waiting.values()]
      .filter(({ task: { batchKey: other } }) => other === batchKey)
      .reduce((sum, { task: { items: its } }) => sum + Math.max(1, its), 0);
    const full = Math.min(its.itemsMax, ...its.preferredItems);
    return items >= full || offeredAt + its.delayMs <= this.now;
  }

  private checkNotIdle(): void {
    if (this.underWay.length >= this.parallel) return;
    for (const { task: idle, offeredAt } of this.waiting.values()) {
      expect(this.couldRun(idle, offeredAt), `${idle.name} waits beside an idle device`).toBe(
        false,
      );
    }
  }
}

describe('on any schedule', () => {
  it('loses nothing, sends nothing twice or late, keeps order and bounds, and lets no device idle', () => {
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 80 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 0, max: 2 }),
        fc.integer({ min: 3, max: 40 }),
        (actions, parallel, ahead, queueDepthMax) => {
          const scheduler = schedulerWith({ parallel, ahead, queueDepthMax });
          const simulation = new Simulation(scheduler, parallel, ahead, queueDepthMax);
          simulation.run(actions);
          expect(simulation.gone.size).toBe(simulation.offered);
          expect([...simulation.gone.values()].every((times) => times === 1)).toBe(true);
          expect(scheduler.waiting).toBe(0);
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('keeps tenants with enough work within one largest batch of their shares, but for what batches under way take longer than expected', () => {
    const stream = fc.record({
      tenant: fc.constantFrom('a', 'b', 'c'),
      weight: fc.constantFrom(1, 2, 4),
      models: fc.array(fc.constantFrom('p', 'q', 'r'), { minLength: 1, maxLength: 3 }),
      items: fc.integer({ min: 1, max: 4 }),
      // Its batches take five times as long as is expected of them, and fail.
      fails: fc.boolean(),
    });
    const distinct = fc.uniqueArray(stream, {
      selector: ({ tenant }) => tenant,
      minLength: 2,
      maxLength: 3,
    });
    const device = fc.record({
      parallel: fc.integer({ min: 1, max: 3 }),
      ahead: fc.integer({ min: 0, max: 4 }),
      // Only short batches are sent ahead.
      unitMs: fc.constantFrom(1, 0.1, 0.001),
      /** Of those that it computes, which one is done first. */
      done: fc.array(fc.nat({ max: 2 }), { minLength: 1, maxLength: 7 }),
    });
    fc.assert(
      fc.property(distinct, fc.integer({ min: 10, max: 120 }), device, (streams, batches, its) => {
        const { parallel, ahead, unitMs, done } = its;
        const msOf = (items: number) => (3 + items) * unitMs;
        const itemsMax = 4;
        const scheduler = schedulerWith({ parallel, ahead, queueDepthMax: 10_000 });
        const served = new Map<string, number>(streams.map(({ tenant }) => [tenant, 0]));
        const refill = (
          { tenant, weight, models, items }: (typeof streams)[number],
          count: number,
        ) => {
          for (let i = 0; i < count; i++) {
            const batchKey = models[i % models.length] as string;
            const fields = { tenant, weight, items, batchKey, policy: policy({ itemsMax }) };
            scheduler.offer(task('', fields), 0);
          }
        };
        // The scheduler knows what batches take before anything is compared.
        for (const batchKey of ['p', 'q', 'r']) {
          for (const items of [1, 2, 4, 3]) {
            scheduler.offer(
              task('', { batchKey, items, tenant: 'teacher', policy: policy({ itemsMax }) }),
              0,
            );
            const decision = scheduler.poll(0);
            if (decision.kind === 'batch') scheduler.finished(decision.batch, took(msOf(items)));
          }
        }
        for (const each of streams) refill(each, batches * 5);
        const failing = new Set<string>(
          streams.flatMap(({ tenant, fails }) => (fails ? [tenant] : [])),
        );
        const largestMs = msOf(itemsMax) * (failing.size > 0 ? 5 : 1);
        // Of those under way it is not known yet that they take longer.
        const unknownMs = (parallel + ahead - 1) * (largestMs - msOf(itemsMax));
        const underWay: Batch<TestTask>[] = [];
        const failed = ({ tasks }: Batch<TestTask>) =>
          tasks.some(({ tenant }) => failing.has(tenant));
        const msTaken = (batch: Batch<TestTask>) => msOf(batch.items) * (failed(batch) ? 5 : 1);
        let finished = 0;
        const finishOne = () => {
          const which = (done[finished++ % done.length] as number) % parallel;
          const [batch] = underWay.splice(Math.min(which, underWay.length - 1), 1);
          if (batch === undefined) throw new Error('nothing is under way');
          const latencyMs = msTaken(batch);
          scheduler.finished(batch, { workMs: failed(batch) ? undefined : latencyMs, latencyMs });
        };
        for (let i = 0; i < batches; i++) {
          let decision = scheduler.poll(0);
          for (; decision.kind !== 'batch'; decision = scheduler.poll(0)) finishOne();
          const { batch } = decision;
          underWay.push(batch);
          const ms = msTaken(batch);
          for (const { tenant, items } of batch.tasks) {
            served.set(tenant, (served.get(tenant) ?? 0) + (ms * items) / batch.items);
          }
          const shares = streams.map(({ tenant, weight }) => (served.get(tenant) ?? 0) / weight);
          const apart = Math.max(...shares) - Math.min(...shares);
          expect(apart).toBeLessThanOrEqual((largestMs + unknownMs) * (1 + 1e-9));
        }
      }),
      { numRuns: 1600 },
    );
  });
});
