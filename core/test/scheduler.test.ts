import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Scheduler, type Schedulable } from '../src/scheduler.js';

interface TestTask extends Schedulable {
  readonly name: string;
}

function task(name: string, overrides: Partial<TestTask> = {}): TestTask {
  return {
    name,
    batchKey: undefined,
    items: 1,
    batchItemsMax: 4,
    batchDelayMs: 0,
    priority: 0,
    deadlineAt: undefined,
    tenant: 't',
    ...overrides,
  };
}

function schedulerWith(slots: number, queueDepthMax = 100): Scheduler<TestTask> {
  return new Scheduler<TestTask>({ slots, queueDepthMax, device: 'test:0' });
}

function namesOf(decision: ReturnType<Scheduler<TestTask>['poll']>): string[] {
  return 'tasks' in decision ? decision.tasks.map(({ name }) => name) : [];
}

describe('Scheduler', () => {
  it('runs higher priority first, then the earliest deadline, then arrival', () => {
    const scheduler = schedulerWith(10);
    scheduler.offer(task('late'), 0);
    scheduler.offer(task('later'), 0);
    scheduler.offer(task('soon', { deadlineAt: 50 }), 0);
    scheduler.offer(task('sooner', { deadlineAt: 40 }), 0);
    scheduler.offer(task('urgent', { priority: 1 }), 0);
    const order = Array.from({ length: 5 }, () => namesOf(scheduler.poll(1))[0]);
    expect(order).toEqual(['urgent', 'sooner', 'soon', 'late', 'later']);
    expect(scheduler.poll(1)).toEqual({ kind: 'idle' });
  });

  it('never has more batches under way than slots', () => {
    const scheduler = schedulerWith(1);
    scheduler.offer(task('a'), 0);
    scheduler.offer(task('b'), 0);
    expect(namesOf(scheduler.poll(0))).toEqual(['a']);
    expect(scheduler.poll(0)).toEqual({ kind: 'idle' });
    scheduler.finished();
    expect(namesOf(scheduler.poll(0))).toEqual(['b']);
  });

  it('puts tasks of one key together, up to the most items', () => {
    const scheduler = schedulerWith(1);
    for (const name of ['a', 'b', 'c', 'd', 'e']) scheduler.offer(task(name, { batchKey: 'm' }), 0);
    scheduler.offer(task('x', { batchKey: 'other' }), 0);
    expect(namesOf(scheduler.poll(0))).toEqual(['a', 'b', 'c', 'd']);
    scheduler.finished();
    expect(namesOf(scheduler.poll(0))).toEqual(['e']);
  });

  it('shares a key out over the free slots rather than filling one', () => {
    const scheduler = schedulerWith(2);
    for (const name of ['a', 'b', 'c', 'd']) scheduler.offer(task(name, { batchKey: 'm' }), 0);
    expect(namesOf(scheduler.poll(0))).toEqual(['a', 'b']);
    expect(namesOf(scheduler.poll(0))).toEqual(['c', 'd']);
  });

  it('waits for the delay while a batch is not full, and says until when', () => {
    const scheduler = schedulerWith(1);
    const waiting = { batchKey: 'm', batchDelayMs: 5 };
    scheduler.offer(task('a', waiting), 10);
    expect(scheduler.poll(10)).toEqual({ kind: 'wait', untilAt: 15 });
    scheduler.offer(task('b', waiting), 12);
    expect(scheduler.poll(12)).toEqual({ kind: 'wait', untilAt: 15 });
    expect(namesOf(scheduler.poll(15))).toEqual(['a', 'b']);
  });

  it('lets others run while a batch waits', () => {
    const scheduler = schedulerWith(1);
    scheduler.offer(task('a', { batchKey: 'm', batchDelayMs: 5 }), 0);
    scheduler.offer(task('b'), 0);
    expect(namesOf(scheduler.poll(0))).toEqual(['b']);
  });

  it('gives back expired tasks and never sends them', () => {
    const scheduler = schedulerWith(1);
    scheduler.offer(task('a', { deadlineAt: 5 }), 0);
    scheduler.offer(task('b'), 0);
    expect(scheduler.poll(5)).toMatchObject({ kind: 'expired' });
    expect(namesOf(scheduler.poll(5))).toEqual(['b']);
  });

  it('refuses one more than its depth, naming the device', () => {
    const scheduler = schedulerWith(1, 2);
    scheduler.offer(task('a'), 0);
    scheduler.offer(task('b'), 0);
    expect(() => {
      scheduler.offer(task('c'), 0);
    }).toThrow(/2 tasks wait for test:0/);
  });

  it('removes a waiting task once', () => {
    const scheduler = schedulerWith(1);
    const a = task('a');
    scheduler.offer(a, 0);
    expect(scheduler.remove(a)).toBe(true);
    expect(scheduler.remove(a)).toBe(false);
    expect(scheduler.poll(0)).toEqual({ kind: 'idle' });
  });

  it('loses nothing and sends nothing twice, on any schedule', () => {
    const step = fc.oneof(
      fc.record({
        offer: fc.record({
          batchKey: fc.option(fc.constantFrom('m', 'n'), { nil: undefined }),
          items: fc.integer({ min: 1, max: 6 }),
          batchDelayMs: fc.integer({ min: 0, max: 4 }),
          priority: fc.integer({ min: -1, max: 1 }),
          ttl: fc.option(fc.integer({ min: 1, max: 10 }), { nil: undefined }),
        }),
      }),
      fc.record({ pass: fc.integer({ min: 0, max: 5 }) }),
      fc.constant({ finish: true }),
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120 }),
        fc.integer({ min: 1, max: 3 }),
        (steps, slots) => {
          const scheduler = schedulerWith(slots, 1000);
          const offered = new Set<string>();
          const gone: string[] = [];
          let now = 0;
          let running = 0;
          const drain = () => {
            for (;;) {
              const decision = scheduler.poll(now);
              if (decision.kind === 'idle' || decision.kind === 'wait') return decision;
              gone.push(...namesOf(decision));
              if (decision.kind !== 'batch') continue;
              running += 1;
              expect(running).toBeLessThanOrEqual(slots);
              for (const sent of decision.tasks)
                expect(sent.deadlineAt ?? Infinity).toBeGreaterThan(now);
              const items = decision.tasks.reduce((sum, sent) => sum + sent.items, 0);
              expect(decision.tasks.length === 1 || items <= 4).toBe(true);
              expect(new Set(decision.tasks.map(({ batchKey }) => batchKey)).size).toBe(1);
            }
          };
          for (const action of steps) {
            if ('offer' in action) {
              const { ttl, ...overrides } = action.offer;
              const name = `t${offered.size}`;
              offered.add(name);
              scheduler.offer(task(name, { ...overrides, deadlineAt: ttl && now + ttl }), now);
            } else if ('pass' in action) {
              now += action.pass;
            } else if (running > 0) {
              running -= 1;
              scheduler.finished();
            }
            drain();
          }
          while (scheduler.waiting > 0) {
            now += 10;
            while (running > 0) {
              running -= 1;
              scheduler.finished();
            }
            drain();
          }
          expect(gone.length).toBe(offered.size);
          expect(new Set(gone)).toEqual(offered);
        },
      ),
      { numRuns: 1500 },
    );
  });
});
