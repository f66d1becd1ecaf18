import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { owedMsMax } from '../../src/scheduling/tenants.js';
import { SliceAccount, type TimeSlice } from '../../src/scheduling/time-slices.js';
import { batchOf, policy, schedulerWith, task, took } from './test-task.js';

const windowMs = 100;

interface Sharer {
  readonly slice: TimeSlice | undefined;
  readonly weight: number;
  /** What each of its tasks takes, milliseconds. */
  readonly taskMs: number;
  /** It asks for something from here on, milliseconds. */
  readonly fromMs: number;
}

interface Run {
  /** When each batch of each tenant began, and what it took. */
  readonly began: readonly (readonly [atMs: number, tookMs: number])[][];
  /** When the device did nothing although tenants wanted it. */
  readonly idleMs: number;
}

/** One device, on which all of them always have tasks waiting from when they come, in virtual time. */
function run(sharers: readonly Sharer[], untilMs: number): Run {
  const slices = new Map(sharers.map(({ slice }, i) => [`t${i}`, slice]));
  const scheduler = schedulerWith({
    queueDepthMax: 10_000,
    timeSliceOf: (tenant) => slices.get(tenant),
  });
  const began: [number, number][][] = sharers.map(() => []);
  const offered = sharers.map(() => false);
  let now = 0;
  let idleMs = 0;
  const offer = (i: number) => {
    const { weight } = sharers[i] as Sharer;
    const alone = policy({ itemsMax: 1 });
    scheduler.offer(
      task(String(i), { batchKey: `m${i}`, tenant: `t${i}`, weight, policy: alone }),
      now,
    );
  };
  while (now < untilMs) {
    sharers.forEach(({ fromMs }, i) => {
      if (offered[i] === true || fromMs > now) return;
      offered[i] = true;
      offer(i);
      offer(i);
    });
    const decision = scheduler.poll(now);
    const nextCame = sharers.filter((_, i) => offered[i] !== true).map(({ fromMs }) => fromMs);
    if (decision.kind !== 'batch') {
      const until = decision.kind === 'wait' ? decision.untilAt : Infinity;
      const next = Math.min(until, untilMs, ...nextCame);
      expect(next).toBeGreaterThan(now);
      idleMs += next - now;
      now = next;
      continue;
    }
    const { batch } = decision;
    const i = Number(batch.tasks[0]?.name);
    const { taskMs } = sharers[i] as Sharer;
    began[i]?.push([now, taskMs]);
    now += taskMs;
    scheduler.finished(batch, took(taskMs));
    offer(i);
  }
  return { began, idleMs };
}

function msOf(run: Run, tenant: number, fromMs = 0, toMs = Infinity): number {
  let ms = 0;
  for (const [at, tookMs] of run.began[tenant] ?? []) if (at >= fromMs && at < toMs) ms += tookMs;
  return ms;
}

const sharer = fc.record({
  taskMs: fc.integer({ min: 1, max: 10 }),
  weight: fc.constantFrom(0.5, 1, 3),
  fromMs: fc.integer({ min: 0, max: 300 }),
  part: fc.integer({ min: 1, max: 100 }),
  more: fc.integer({ min: 0, max: 100 }),
  isFree: fc.boolean(),
});

/** Whose requests are four fifths of the device together, so that batches that are not cut have room. */
function sharersOf(
  drawn: readonly (typeof sharer extends fc.Arbitrary<infer S> ? S : never)[],
): Sharer[] {
  const parts = drawn.reduce((sum, { part, isFree }) => sum + (isFree ? 0 : part), 0);
  return drawn.map(({ part, more, isFree, ...rest }) => {
    const request = isFree ? 0 : (0.8 * part) / parts;
    const limit = Math.min(1, request + more / 100);
    return { ...rest, slice: isFree ? undefined : { request, limit, windowMs } };
  });
}

describe('time slices', () => {
  it('give everyone what it is sure of, and nobody more than its limit, whoever else wants the device', () => {
    const windows = 20;
    fc.assert(
      fc.property(fc.array(sharer, { minLength: 1, maxLength: 5 }), (drawn) => {
        const sharers = sharersOf(drawn);
        const result = run(sharers, windows * windowMs);
        sharers.forEach(({ slice, taskMs, fromMs }, i) => {
          if (slice === undefined) return;
          const { request, limit } = slice;
          // From the first whole window on in which it asks.
          const first = Math.ceil(fromMs / windowMs);
          const had = msOf(result, i, first * windowMs);
          expect(had).toBeGreaterThanOrEqual((windows - first) * request * windowMs - taskMs);
          for (let from = 0; from < windows; from++) {
            for (let to = from + 1; to <= windows; to++) {
              const most = (to - from) * limit * windowMs + taskMs;
              expect(msOf(result, i, from * windowMs, to * windowMs)).toBeLessThanOrEqual(
                most + 1e-6,
              );
            }
          }
        });
      }),
      { numRuns: 150 },
    );
  });

  it('leave no time unused that somebody below its limit wants', () => {
    fc.assert(
      fc.property(fc.array(sharer, { minLength: 2, maxLength: 4 }), (drawn) => {
        const sharers = [
          ...sharersOf(drawn),
          { slice: undefined, weight: 1, taskMs: 2, fromMs: 0 },
        ];
        expect(run(sharers, 1000).idleMs).toBe(0);
      }),
      { numRuns: 100 },
    );
  });

  it('grow up to their limit while there is time, and the rest is shared by weight', () => {
    const slice = { request: 0.2, limit: 0.6, windowMs };
    const alone = run([{ slice, weight: 1, taskMs: 5, fromMs: 0 }], 2000);
    expect(msOf(alone, 0) / 2000).toBeCloseTo(0.6, 1);
    const beside = run(
      [
        { slice, weight: 1, taskMs: 5, fromMs: 0 },
        { slice: undefined, weight: 3, taskMs: 5, fromMs: 0 },
      ],
      10_000,
    );
    // 0.2, and a quarter of what is left.
    expect(msOf(beside, 0) / 10_000).toBeCloseTo(0.4, 1);
  });

  it('go before priority as far as they are sure', () => {
    const slices = new Map([['sure', { request: 0.5, limit: 1, windowMs }]]);
    const scheduler = schedulerWith({ timeSliceOf: (tenant) => slices.get(tenant) });
    scheduler.offer(task('urgent', { priority: 9 }), 0);
    scheduler.offer(task('sure', { tenant: 'sure', batchKey: 'other' }), 0);
    expect(batchOf(scheduler.poll(0)).tasks[0]?.name).toBe('sure');
  });

  it('may change while tasks wait', () => {
    let slice: TimeSlice | undefined = { request: 0, limit: 0.1, windowMs };
    const scheduler = schedulerWith({ timeSliceOf: () => slice });
    const single = { policy: policy({ itemsMax: 1 }) };
    scheduler.offer(task('first', single), 0);
    scheduler.finished(batchOf(scheduler.poll(0)), took(50));
    scheduler.offer(task('second', single), 50);
    expect(scheduler.poll(50)).toEqual({ kind: 'wait', untilAt: 500 });
    slice = undefined;
    scheduler.offer(task('third', single), 60);
    expect(scheduler.poll(60).kind).toBe('batch');
  });

  it('tell at once when a deadline is before the window in which there is time again, and when that is', () => {
    const slices: TimeSlice = { request: 0, limit: 0.2, windowMs };
    const scheduler = schedulerWith({ timeSliceOf: () => slices });
    const single = { policy: policy({ itemsMax: 1 }) };
    scheduler.offer(task('first', single), 10);
    scheduler.finished(batchOf(scheduler.poll(10)), took(60));
    // 60 ms are three windows' worth.
    expect(() => scheduler.offer(task('late', { ...single, deadlineAt: 250 }), 70)).toThrow(
      expect.objectContaining({ code: 'DEADLINE_EXCEEDED', earliestMs: 230 }) as Error,
    );
    scheduler.offer(task('in time', { ...single, deadlineAt: 400 }), 70);
    expect(scheduler.poll(70)).toEqual({ kind: 'wait', untilAt: 300 });
    expect(scheduler.poll(300).kind).toBe('batch');
  });

  it('take from windows to come what a batch took too much, and forget it then', () => {
    const account = new SliceAccount({ request: 0, limit: 0.5, windowMs }, 2);
    expect(account.mayBeginAt(30)).toBe(30);
    account.charge(250);
    expect(account.mayBeginAt(30)).toBe(200);
    account.charge(-160);
    expect(account.mayBeginAt(30)).toBe(30);
    expect(account.mayBeginAfter(10, 30)).toBe(100);
  });
});

describe('device time elsewhere', () => {
  const backlogged = (elsewhere: (tenant: string, now: number) => number) => {
    const scheduler = schedulerWith({ queueDepthMax: 10_000 });
    const had = new Map([
      ['a', 0],
      ['b', 0],
    ]);
    const offer = (tenant: string, now: number) => {
      const fields = { tenant, batchKey: tenant, policy: policy({ itemsMax: 1 }) };
      scheduler.offer(task(tenant, fields), now);
    };
    for (const tenant of had.keys()) for (let i = 0; i < 2; i++) offer(tenant, 0);
    for (let now = 0; now < 20_000; now += 10) {
      for (const tenant of had.keys()) scheduler.chargeElsewhere(tenant, elsewhere(tenant, now));
      const batch = batchOf(scheduler.poll(now));
      const tenant = batch.tasks[0]?.name ?? '';
      had.set(tenant, (had.get(tenant) ?? 0) + 10);
      scheduler.finished(batch, took(10));
      offer(tenant, now);
    }
    return had;
  };

  it('counts here: who has another device for itself gets nearly nothing of this one, and not nothing', () => {
    const had = backlogged((tenant) => (tenant === 'a' ? 10 : 0));
    const [a = 0, b = 0] = [had.get('a'), had.get('b')];
    const [all, other] = [a + 20_000, b];
    const jain = (all + other) ** 2 / (2 * (all ** 2 + other ** 2));
    expect(jain).toBeGreaterThan(0.99);
    expect(a).toBeGreaterThan(500);
  });

  it('is paid for by not wanting this device meanwhile', () => {
    const scheduler = schedulerWith({ queueDepthMax: 1000 });
    const alone = { policy: policy({ itemsMax: 1 }) };
    const batchFor = (now: number) => {
      const batch = batchOf(scheduler.poll(now));
      scheduler.finished(batch, took(10));
      return batch.tasks[0]?.tenant;
    };
    for (let i = 0; i < 60; i++) {
      scheduler.offer(task(`flood ${i}`, { ...alone, tenant: 'flood', batchKey: 'f' }), 0);
    }
    for (let i = 0; i < 40; i++) expect(batchFor(10 * i)).toBe('flood');
    // It had less elsewhere than the other one has had here.
    scheduler.chargeElsewhere('seldom', 200);
    for (const name of ['one', 'two']) {
      scheduler.offer(task(name, { ...alone, tenant: 'seldom', batchKey: 's' }), 400);
    }
    expect(
      [batchFor(400), batchFor(410), batchFor(420)].filter((each) => each === 'seldom'),
    ).toHaveLength(2);
  });

  it('is no debt when it was long ago, and changes nothing where both had as much', () => {
    const once = backlogged((tenant, now) => (tenant === 'a' && now === 0 ? 1e9 : 0));
    expect((once.get('b') ?? 0) - (once.get('a') ?? 0)).toBeLessThanOrEqual(owedMsMax + 20);
    const both = backlogged(() => 10);
    expect(Math.abs((both.get('a') ?? 0) - (both.get('b') ?? 0))).toBeLessThanOrEqual(200);
  });
});
