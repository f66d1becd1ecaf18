import { describe, expect, it } from 'vitest';

import { priorityOfLevel } from '../../src/scheduling/priority-levels.js';
import { batchOf, namesOf, policy, schedulerWith, task, teach, took } from './test-task.js';

const alone = { policy: policy({ itemsMax: 1 }) };

describe('order', () => {
  it('is priority, then the earliest deadline, then arrival', () => {
    const scheduler = schedulerWith({ parallel: 10 });
    scheduler.offer(task('late', alone), 0);
    scheduler.offer(task('later', alone), 0);
    scheduler.offer(task('soon', { ...alone, deadlineAt: 50 }), 0);
    scheduler.offer(task('sooner', { ...alone, deadlineAt: 40 }), 0);
    scheduler.offer(task('urgent', { ...alone, priority: 1 }), 0);
    const order = Array.from({ length: 5 }, () => namesOf(scheduler.poll(1))[0]);
    expect(order).toEqual(['urgent', 'sooner', 'soon', 'late', 'later']);
    expect(scheduler.poll(1)).toEqual({ kind: 'idle' });
  });

  it('is the same among tasks of no model, however many kinds of them there are', () => {
    const scheduler = schedulerWith({ queueDepthMax: 10_000 });
    const kinds = 3000;
    const fields = (i: number) => ({ ...alone, modelKey: '', batchKey: `kind ${i}` });
    for (let i = 0; i < kinds; i++) {
      const deadlineAt = i % 3 === 0 ? 2 * kinds - i : undefined;
      scheduler.offer(task(String(i), { ...fields(i), deadlineAt, priority: i % 2 }), 0);
    }
    const cancelled = task('cancelled', { ...fields(kinds), priority: 5 });
    scheduler.offer(cancelled, 0);
    expect(scheduler.remove(cancelled)).toBe(true);
    const order: number[] = [];
    for (let i = 0; i < kinds; i++) {
      const batch = batchOf(scheduler.poll(0));
      order.push(Number(batch.tasks[0]?.name));
      scheduler.finished(batch, took(1));
    }
    const rank = (i: number) => [1 - (i % 2), i % 3 === 0 ? 2 * kinds - i : Infinity, i];
    const wanted = Array.from({ length: kinds }, (_, i) => i).sort((a, b) => {
      const [x, y] = [rank(a), rank(b)];
      const at = x.findIndex((value, k) => value !== y[k]);
      return (x[at] as number) - (y[at] as number);
    });
    expect(order).toEqual(wanted);
    expect(scheduler.poll(0)).toEqual({ kind: 'idle' });
  });

  it('never has more batches under way than the device takes', () => {
    const scheduler = schedulerWith();
    scheduler.offer(task('a', alone), 0);
    scheduler.offer(task('b', alone), 0);
    const first = batchOf(scheduler.poll(0));
    expect(scheduler.poll(0)).toEqual({ kind: 'idle' });
    scheduler.finished(first, took(5));
    expect(namesOf(scheduler.poll(0))).toEqual(['b']);
  });

  it('sends short batches ahead to a busy device, and keeps long ones back', () => {
    const scheduler = schedulerWith({ ahead: 1 });
    const short = { ...alone, batchKey: 'short' };
    const long = { ...alone, batchKey: 'long' };
    teach(scheduler, short, () => 0.1);
    teach(scheduler, long, () => 100);
    for (const name of ['l1', 'l2']) scheduler.offer(task(name, long), 0);
    for (const name of ['s1', 's2']) scheduler.offer(task(name, short), 0);
    expect(namesOf(scheduler.poll(0))).toEqual(['l1']);
    expect(namesOf(scheduler.poll(0))).toEqual(['s1']);
    expect(scheduler.poll(0)).toEqual({ kind: 'idle' });
  });

  it('sends several ahead only of tiny batches', () => {
    const scheduler = schedulerWith({ ahead: 3 });
    const tiny = { ...alone, batchKey: 'tiny' };
    const short = { ...alone, batchKey: 'short' };
    teach(scheduler, tiny, () => 0.01);
    teach(scheduler, short, () => 0.1);
    for (const name of ['s1', 's2', 's3']) scheduler.offer(task(name, short), 0);
    expect(namesOf(scheduler.poll(0))).toEqual(['s1']);
    expect(namesOf(scheduler.poll(0))).toEqual(['s2']);
    expect(scheduler.poll(0)).toEqual({ kind: 'idle' });
    for (const name of ['t1', 't2', 't3']) scheduler.offer(task(name, tiny), 0);
    expect(namesOf(scheduler.poll(0))).toEqual(['t1']);
    expect(namesOf(scheduler.poll(0))).toEqual(['t2']);
    expect(scheduler.poll(0)).toEqual({ kind: 'idle' });
  });
});

describe('batches', () => {
  it('are of one key, up to the most items', () => {
    const scheduler = schedulerWith();
    for (const name of ['a', 'b', 'c', 'd', 'e']) scheduler.offer(task(name), 0);
    scheduler.offer(task('x', { batchKey: 'other' }), 0);
    const first = batchOf(scheduler.poll(0));
    expect(first.tasks.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd']);
    scheduler.finished(first, took(1));
    expect(namesOf(scheduler.poll(0))).toEqual(['e']);
  });

  it('share a key out over the free places rather than filling one', () => {
    const scheduler = schedulerWith({ parallel: 2 });
    for (const name of ['a', 'b', 'c', 'd']) scheduler.offer(task(name), 0);
    expect(namesOf(scheduler.poll(0))).toEqual(['a', 'b']);
    expect(namesOf(scheduler.poll(0))).toEqual(['c', 'd']);
  });

  it('leave a share to a place that is free soon, and none to one that is not', () => {
    for (const { soonMs, expected } of [
      { soonMs: 1, expected: 4 },
      { soonMs: 8, expected: 8 },
    ]) {
      const scheduler = schedulerWith({ parallel: 2 });
      const many = { policy: policy({ itemsMax: 8 }) };
      // A millisecond an item.
      for (const items of [8, 4, 1]) {
        scheduler.offer(task('learn', { ...many, items }), 0);
        scheduler.finished(batchOf(scheduler.poll(0)), took(items));
      }
      scheduler.offer(task('before', { ...many, items: soonMs }), 0);
      expect(namesOf(scheduler.poll(0))).toEqual(['before']);
      for (let i = 0; i < 8; i++) scheduler.offer(task(`t${i}`, many), 0);
      expect(namesOf(scheduler.poll(0))).toHaveLength(expected);
    }
  });

  it('wait for the delay while they are not full, and say until when', () => {
    const scheduler = schedulerWith();
    const waiting = { policy: policy({ delayMs: 5 }) };
    scheduler.offer(task('a', waiting), 10);
    expect(scheduler.poll(10)).toEqual({ kind: 'wait', untilAt: 15 });
    scheduler.offer(task('b', waiting), 12);
    expect(scheduler.poll(12)).toEqual({ kind: 'wait', untilAt: 15 });
    expect(namesOf(scheduler.poll(15))).toEqual(['a', 'b']);
  });

  it('let others run while they wait', () => {
    const scheduler = schedulerWith();
    scheduler.offer(task('a', { policy: policy({ delayMs: 5 }) }), 0);
    scheduler.offer(task('b', { ...alone, batchKey: 'n' }), 0);
    expect(namesOf(scheduler.poll(0))).toEqual(['b']);
  });

  it('of a preferred size go at once, the largest first, and the rest after the delay', () => {
    const scheduler = schedulerWith({ parallel: 4 });
    const preferring = { policy: policy({ itemsMax: 8, preferredItems: [2, 4], delayMs: 5 }) };
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) {
      scheduler.offer(task(name, preferring), 0);
    }
    expect(namesOf(scheduler.poll(0))).toEqual(['a', 'b', 'c', 'd']);
    expect(namesOf(scheduler.poll(0))).toEqual(['e', 'f']);
    expect(scheduler.poll(0)).toEqual({ kind: 'wait', untilAt: 5 });
    expect(namesOf(scheduler.poll(5))).toEqual(['g']);
  });

  it('of one model are no more at once than its instances', () => {
    const scheduler = schedulerWith({ parallel: 4 });
    const single = { policy: policy({ itemsMax: 1, instances: 1 }) };
    scheduler.offer(task('a', single), 0);
    scheduler.offer(task('b', single), 0);
    scheduler.offer(task('x', { ...alone, batchKey: 'other' }), 0);
    const first = batchOf(scheduler.poll(0));
    expect(namesOf(scheduler.poll(0))).toEqual(['x']);
    expect(scheduler.poll(0)).toEqual({ kind: 'idle' });
    scheduler.finished(first, took(1));
    expect(namesOf(scheduler.poll(0))).toEqual(['b']);
  });
});

describe('bounds', () => {
  it('gives back tasks whose deadline has passed and never sends them', () => {
    const scheduler = schedulerWith();
    scheduler.offer(task('a', { deadlineAt: 5 }), 0);
    scheduler.offer(task('b'), 0);
    expect(scheduler.poll(5)).toMatchObject({ kind: 'dropped', why: 'deadline' });
    expect(namesOf(scheduler.poll(5))).toEqual(['b']);
  });

  it('says when a deadline passes while the device is busy', () => {
    const scheduler = schedulerWith();
    scheduler.offer(task('a'), 0);
    scheduler.poll(0);
    scheduler.offer(task('b', { deadlineAt: 7 }), 0);
    expect(scheduler.poll(0)).toEqual({ kind: 'wait', untilAt: 7 });
  });

  it('refuses one more than its depth, naming the device', () => {
    const scheduler = schedulerWith({ queueDepthMax: 2 });
    scheduler.offer(task('a'), 0);
    scheduler.offer(task('b'), 0);
    expect(() => scheduler.offer(task('c'), 0)).toThrow(/2 tasks wait for test:0/);
  });

  it("refuses one more than a tenant's share, and takes what others have", () => {
    const scheduler = schedulerWith({ queueDepthMax: 4, tenantQueueDepthMax: 2 });
    const first = task('a');
    scheduler.offer(first, 0);
    scheduler.offer(task('b'), 0);
    expect(() => scheduler.offer(task('c'), 0)).toThrow(
      /2 tasks wait for test:0 from tenant t already, the most of each tenant/,
    );
    scheduler.offer(task('x', { tenant: 'u' }), 0);
    scheduler.remove(first);
    scheduler.offer(task('d'), 0);
    expect(() => scheduler.offer(task('e'), 0)).toThrow(/from tenant t/);
    expect(scheduler.waiting).toBe(3);
  });

  it('takes as many of a tenant as its own bound says, which may change', () => {
    const depths = new Map([['small', 1]]);
    const scheduler = schedulerWith({
      tenantQueueDepthMax: 2,
      tenantQueueDepthOf: (tenant) => depths.get(tenant),
    });
    const offer = (name: string, tenant: string) => {
      scheduler.offer(task(name, { tenant }), 0);
    };
    offer('a', 'small');
    expect(() => {
      offer('b', 'small');
    }).toThrow(/1 tasks wait .* from tenant small already, the most of this tenant \(queueDepth\)/);
    offer('c', 'other');
    offer('d', 'other');
    depths.set('small', 3);
    offer('e', 'small');
    offer('f', 'small');
    expect(() => {
      offer('g', 'small');
    }).toThrow(/3 tasks wait .* from tenant small/);
    depths.delete('small');
    expect(() => {
      offer('h', 'small');
    }).toThrow(/2 tasks wait .* the most of each tenant/);
  });

  it("refuses one more than a model's queue takes, and others still come in", () => {
    const scheduler = schedulerWith();
    const small = { policy: policy({ queueMax: 1 }) };
    const a = task('a', small);
    scheduler.offer(a, 0);
    expect(() => scheduler.offer(task('b', small), 0)).toThrow(/1 tasks wait for this model/);
    scheduler.offer(task('x', { batchKey: 'other' }), 0);
    scheduler.remove(a);
    scheduler.offer(task('c', small), 0);
    expect(scheduler.waiting).toBe(2);
  });

  it('rejects what waits longer than the queue policy allows', () => {
    const scheduler = schedulerWith();
    const impatient = { policy: policy({ itemsMax: 1, queueTimeoutMs: 10 }) };
    scheduler.offer(task('running', alone), 0);
    scheduler.poll(0);
    scheduler.offer(task('a', { ...impatient, batchKey: 'n' }), 0);
    scheduler.offer(task('b', { ...impatient, batchKey: 'n' }), 5);
    expect(scheduler.poll(5)).toEqual({ kind: 'wait', untilAt: 10 });
    const decision = scheduler.poll(10);
    expect(decision).toMatchObject({ kind: 'dropped', why: 'timeout' });
    expect(namesOf(decision)).toEqual(['a']);
    expect(scheduler.waiting).toBe(1);
  });

  it('do not hold for a task that was put back what held for it in the batch that failed', () => {
    const scheduler = schedulerWith();
    const impatient = { policy: policy({ itemsMax: 1, queueTimeoutMs: 10 }) };
    const failing = task('failing', impatient);
    scheduler.offer(failing, 0);
    for (const name of ['b', 'c']) scheduler.offer(task(name, impatient), 8);
    const batch = batchOf(scheduler.poll(8));
    expect(batch.tasks).toEqual([failing]);
    scheduler.finished(batch, { workMs: undefined, latencyMs: 1 });
    const again = Object.assign(failing, { batchKey: 'part', policy: policy({ itemsMax: 1 }) });
    scheduler.readmit(again);
    expect(namesOf(scheduler.poll(9))).toEqual(['b']);
    expect(scheduler.poll(12)).toEqual({ kind: 'wait', untilAt: 18 });
    expect(scheduler.waiting).toBe(2);
  });

  it('puts what waits longer behind all others where the policy says delay', () => {
    const scheduler = schedulerWith();
    const patient = { policy: policy({ itemsMax: 1, queueTimeoutMs: 10, onTimeout: 'delay' }) };
    scheduler.offer(task('old', { ...patient, priority: 5 }), 0);
    scheduler.offer(task('new', { ...patient, priority: -5 }), 9);
    const first = batchOf(scheduler.poll(12));
    expect(first.tasks[0]?.name).toBe('new');
    scheduler.finished(first, took(1));
    expect(namesOf(scheduler.poll(13))).toEqual(['old']);
  });

  it('bounds each priority level as its own policy says, and delays within the level', () => {
    const scheduler = schedulerWith();
    const bounds = [
      { level: 1, queueMax: 3, queueTimeoutMs: 5, onTimeout: 'delay' },
      { level: 3, queueMax: 0, queueTimeoutMs: 8, onTimeout: 'reject' },
    ] as const;
    const levels = { count: 3, defaultLevel: 2, bounds };
    const levelled = { batchKey: 'n', policy: policy({ itemsMax: 1, queueMax: 1, levels }) };
    const offer = (name: string, level: number, at: number) => {
      scheduler.offer(task(name, { ...levelled, priority: priorityOfLevel(level) }), at);
    };
    scheduler.offer(task('running', alone), 0);
    const running = batchOf(scheduler.poll(0));
    offer('1a', 1, 0);
    offer('1b', 1, 1);
    offer('2a', 2, 1);
    expect(() => {
      offer('2b', 2, 1);
    }).toThrow(/1 tasks wait for this model/);
    offer('3a', 3, 1);
    offer('3b', 3, 4);
    expect(scheduler.poll(4)).toEqual({ kind: 'wait', untilAt: 9 });
    const dropped = scheduler.poll(9);
    expect(dropped).toMatchObject({ kind: 'dropped', why: 'timeout' });
    expect(namesOf(dropped)).toEqual(['3a']);
    scheduler.finished(running, took(1));
    offer('1c', 1, 9);
    expect(() => {
      offer('1d', 1, 9);
    }).toThrow(/3 tasks wait for this model/);
    // The old ones of level 1 come after its new one and before level 2.
    const order = ['1c', '1a', '1b', '2a', '3b'].map(() => {
      const batch = batchOf(scheduler.poll(9));
      scheduler.finished(batch, took(0.1));
      return batch.tasks[0]?.name;
    });
    expect(order).toEqual(['1c', '1a', '1b', '2a', '3b']);
    expect(scheduler.waiting).toBe(0);
  });

  it('removes a waiting task once', () => {
    const scheduler = schedulerWith();
    const a = task('a');
    scheduler.offer(a, 0);
    expect(scheduler.remove(a)).toBe(true);
    expect(scheduler.remove(a)).toBe(false);
    expect(scheduler.poll(0)).toEqual({ kind: 'idle' });
  });
});

describe('deadlines that cannot be met', () => {
  it('are refused at the door once it is known what the work ahead takes', () => {
    const scheduler = schedulerWith();
    teach(scheduler, alone, () => 10);
    for (let i = 0; i < 5; i++) scheduler.offer(task(`${i}`, { ...alone, deadlineAt: 50 }), 0);
    // Later deadlines and other tenants are not sure to go first.
    scheduler.offer(task('after', { ...alone, deadlineAt: 1000 }), 0);
    scheduler.offer(task('other', { ...alone, deadlineAt: 50, tenant: 'u' }), 0);
    expect(() => scheduler.offer(task('late', { ...alone, deadlineAt: 55 }), 0)).toThrow(
      /test:0 needs about 60\.0 ms .*55\.0 ms are left/,
    );
    scheduler.offer(task('fine', { ...alone, deadlineAt: 61 }), 0);
  });

  it('are tried all the same on a free device: the estimate may be wrong', () => {
    const scheduler = schedulerWith();
    teach(scheduler, alone, () => 10);
    scheduler.offer(task('a', { ...alone, deadlineAt: 1 }), 0);
    expect(namesOf(scheduler.poll(0))).toEqual(['a']);
  });

  it('are not guessed at for tasks whose time says nothing of the next', () => {
    const scheduler = schedulerWith();
    const unlike = { policy: policy({ itemsMax: 1, predictable: false }) };
    teach(scheduler, unlike, () => 10);
    scheduler.offer(task('a', unlike), 0);
    scheduler.offer(task('b', { ...unlike, deadlineAt: 5 }), 0);
    expect(scheduler.waiting).toBe(2);
  });
});

describe('batches under deadlines', () => {
  const aware = { policy: policy({ sloAware: true }) };
  const msOf = (items: number) => 8 + 2 * items;

  it('are as large as the first deadline allows', () => {
    const scheduler = schedulerWith();
    teach(scheduler, aware, msOf);
    for (const name of ['a', 'b', 'c', 'd']) {
      scheduler.offer(task(name, { ...aware, deadlineAt: name === 'a' ? 13 : 100 }), 0);
    }
    // Two items take 12 ms, three 14.
    expect(namesOf(scheduler.poll(0))).toEqual(['a', 'b']);
  });

  it('pass over what would hold up the rest', () => {
    const scheduler = schedulerWith();
    teach(scheduler, aware, msOf);
    const deadlines = [11, 17, 17, 17, 17];
    deadlines.forEach((deadlineAt, i) => {
      scheduler.offer(task(`${i}`, { ...aware, deadlineAt }), 0);
    });
    const decision = scheduler.poll(0);
    expect(decision).toMatchObject({ kind: 'dropped', why: 'late' });
    expect(namesOf(decision)).toEqual(['0']);
    expect(namesOf(scheduler.poll(0))).toEqual(['1', '2', '3', '4']);
  });

  it('give nothing up for tasks of lower priority', () => {
    const scheduler = schedulerWith();
    teach(scheduler, aware, msOf);
    scheduler.offer(task('urgent', { ...aware, priority: 1, deadlineAt: 11 }), 0);
    for (const name of ['a', 'b', 'c', 'd']) {
      scheduler.offer(task(name, { ...aware, deadlineAt: 17 }), 0);
    }
    expect(batchOf(scheduler.poll(0)).tasks.map(({ name }) => name)).toEqual(['urgent']);
  });

  it('are judged by how long batches took that did not wait inside the device', () => {
    const scheduler = schedulerWith({ ahead: 1 });
    const waiting = { policy: policy({ sloAware: true, delayMs: 50 }) };
    teach(scheduler, waiting, () => 0.1);
    for (let i = 0; i < 20; i++) {
      for (const name of ['first', 'ahead'])
        scheduler.offer(task(name, { ...waiting, items: 4 }), 0);
      const [first, ahead] = [batchOf(scheduler.poll(0)), batchOf(scheduler.poll(0))];
      scheduler.finished(first, took(0.1));
      scheduler.finished(ahead, { workMs: 0.1, latencyMs: 30 });
    }
    scheduler.offer(task('due', { ...waiting, deadlineAt: 40 }), 0);
    const decision = scheduler.poll(0);
    expect(decision).toMatchObject({ kind: 'wait' });
    expect(decision.kind === 'wait' && decision.untilAt).toBeCloseTo(39.9);
  });

  it('keep the first one where all can be served', () => {
    const scheduler = schedulerWith();
    teach(scheduler, aware, msOf);
    const deadlines = [11, 40, 40, 40, 40];
    deadlines.forEach((deadlineAt, i) => {
      scheduler.offer(task(`${i}`, { ...aware, deadlineAt }), 0);
    });
    expect(namesOf(scheduler.poll(0))).toEqual(['0']);
  });

  it('are tried on a free device when none seems possible, and the estimate mends itself', () => {
    const scheduler = schedulerWith();
    teach(scheduler, aware, () => 1000);
    const offer = (now: number) => {
      for (let i = 0; i < 6; i++)
        scheduler.offer(task(`${i}`, { ...aware, deadlineAt: now + 50 }), now);
    };
    for (let now = 0; now < 20_000; now += 100) {
      offer(now);
      let decision = scheduler.poll(now);
      while (decision.kind === 'dropped') decision = scheduler.poll(now);
      scheduler.finished(batchOf(decision), took(10));
      while (decision.kind === 'batch' || decision.kind === 'dropped') {
        decision = scheduler.poll(now);
        if (decision.kind === 'batch') scheduler.finished(decision.batch, took(10));
      }
    }
    offer(20_000);
    expect(namesOf(scheduler.poll(20_000))).toEqual(['0', '1', '2', '3']);
  });
});

it('sends a batch that is full whole, on however many places: the rest would wait out the delay', () => {
  const scheduler = schedulerWith({ parallel: 2 });
  const waits = policy({ itemsMax: 8, delayMs: 1000 });
  for (let i = 0; i < 8; i++) scheduler.offer(task(`t${i}`, { policy: waits }), 0);
  expect(namesOf(scheduler.poll(0))).toHaveLength(8);
  expect(scheduler.poll(0).kind).toBe('idle');
});

it.each([undefined, 100_000])(
  'gives no task with time up (deadline %o) for those that have none',
  (deadlineAt) => {
    const aware = policy({ itemsMax: 16, sloAware: true });
    const scheduler = schedulerWith();
    teach(scheduler, { policy: aware }, (items) => 10 + items);
    // So that it is a's turn.
    scheduler.offer(task('x', { batchKey: 'other', tenant: 'b', weight: 10 }), 0);
    scheduler.finished(batchOf(scheduler.poll(0)), took(1));
    scheduler.offer(task('a0', { policy: aware, tenant: 'a', deadlineAt }), 0);
    scheduler.offer(task('a1', { policy: aware, tenant: 'a', deadlineAt }), 0);
    for (let i = 0; i < 60; i++) {
      scheduler.offer(
        task(`b${i}`, { policy: aware, tenant: 'b', weight: 10, deadlineAt: 12 + i }),
        0,
      );
    }
    const sent: string[] = [];
    const dropped: string[] = [];
    for (let now = 0; sent.length + dropped.length < 62;) {
      const decision = scheduler.poll(now);
      if (decision.kind === 'dropped') dropped.push(...namesOf(decision));
      if (decision.kind !== 'batch') continue;
      sent.push(...namesOf(decision));
      now += 10 + decision.batch.items;
      scheduler.finished(decision.batch, took(10 + decision.batch.items));
    }
    expect(sent).toEqual(expect.arrayContaining(['a0', 'a1']));
  },
);

it('tries a kind of batch that seems too slow also while others keep the device busy', () => {
  const scheduler = schedulerWith({ parallel: 2 });
  const aware = { policy: policy({ sloAware: true }) };
  teach(scheduler, aware, () => 1000);
  scheduler.offer(task('other', { ...alone, batchKey: 'n' }), 0);
  scheduler.poll(0);
  for (const name of ['a', 'b']) scheduler.offer(task(name, { ...aware, deadlineAt: 50 }), 0);
  expect(namesOf(scheduler.poll(0))).toEqual(['a', 'b']);
});

describe('tenants', () => {
  it('take turns by device time, however many tasks each has', () => {
    const scheduler = schedulerWith();
    for (let i = 0; i < 20; i++) {
      scheduler.offer(task(`a${i}`, { ...alone, batchKey: 'x', tenant: 'a' }), 0);
    }
    for (let i = 0; i < 5; i++) {
      scheduler.offer(task(`b${i}`, { ...alone, batchKey: 'y', tenant: 'b' }), 0);
    }
    const served: string[] = [];
    for (let i = 0; i < 10; i++) {
      const batch = batchOf(scheduler.poll(i));
      served.push(batch.tasks[0]?.tenant ?? '');
      scheduler.finished(batch, took(10));
    }
    expect(served.filter((tenant) => tenant === 'b')).toHaveLength(5);
  });

  it('are still told apart after an empty batch', () => {
    const scheduler = schedulerWith();
    scheduler.offer(task('empty', { ...alone, items: 0, tenant: 'c' }), 0);
    scheduler.finished(batchOf(scheduler.poll(0)), took(1));
    for (let i = 0; i < 4; i++) scheduler.offer(task(`a${i}`, { ...alone, tenant: 'a' }), 0);
    for (let i = 0; i < 4; i++) {
      scheduler.offer(task(`b${i}`, { ...alone, batchKey: 'y', tenant: 'b' }), 0);
    }
    const served = Array.from({ length: 4 }, () => {
      const batch = batchOf(scheduler.poll(0));
      scheduler.finished(batch, took(10));
      return batch.tasks[0]?.tenant;
    });
    expect(served.sort()).toEqual(['a', 'a', 'b', 'b']);
  });

  it('below another priority keep what they waited for', () => {
    const scheduler = schedulerWith();
    scheduler.offer(task('low', { ...alone, tenant: 'low' }), 0);
    for (let i = 0; i < 50; i++) {
      scheduler.offer(task('high', { ...alone, batchKey: 'y', tenant: 'high', priority: 1 }), 0);
      scheduler.finished(batchOf(scheduler.poll(0)), took(100));
    }
    for (let i = 0; i < 10; i++) {
      scheduler.offer(task('low', { ...alone, tenant: 'low' }), 0);
      scheduler.offer(task('new', { ...alone, batchKey: 'z', tenant: 'new' }), 0);
    }
    const served = Array.from({ length: 10 }, () => {
      const batch = batchOf(scheduler.poll(0));
      scheduler.finished(batch, took(10));
      return batch.tasks[0]?.tenant;
    });
    expect(served.filter((tenant) => tenant === 'new').length).toBeGreaterThanOrEqual(4);
  });

  it('save nothing up while they are idle', () => {
    const scheduler = schedulerWith();
    const serve = (count: number) =>
      Array.from({ length: count }, () => {
        const batch = batchOf(scheduler.poll(0));
        scheduler.finished(batch, took(10));
        return batch.tasks[0]?.tenant ?? '';
      });
    scheduler.offer(task('b', { ...alone, tenant: 'b' }), 0);
    for (let i = 0; i < 40; i++) scheduler.offer(task(`a${i}`, { ...alone, tenant: 'a' }), 0);
    serve(21);
    for (let i = 0; i < 10; i++) scheduler.offer(task(`b${i}`, { ...alone, tenant: 'b' }), 0);
    expect(serve(10).filter((tenant) => tenant === 'a').length).toBeGreaterThanOrEqual(4);
  });

  it('keep the model that ran last while that keeps them within one batch', () => {
    const scheduler = schedulerWith();
    const x = { ...alone, batchKey: 'x', tenant: 'a' };
    const y = { ...alone, batchKey: 'y', tenant: 'b' };
    teach(scheduler, { ...alone, batchKey: 'x', tenant: 'l' }, () => 10);
    teach(scheduler, { ...alone, batchKey: 'y', tenant: 'l' }, () => 10);
    for (let i = 0; i < 8; i++) {
      scheduler.offer(task(`x${i}`, x), 0);
      scheduler.offer(task(`y${i}`, y), 0);
    }
    const models: string[] = [];
    for (let i = 0; i < 16; i++) {
      const batch = batchOf(scheduler.poll(0));
      models.push(batch.batchKey);
      scheduler.finished(batch, took(10));
    }
    const switches = models.filter((model, i) => i > 0 && model !== models[i - 1]).length;
    expect(switches).toBeLessThan(10);
  });
});

describe('what batches of a key take', () => {
  const short = { ...alone, batchKey: 'short' };

  /** Whether it is known that the key's batches are short: only then one is sent to a busy device. */
  function isKnown(scheduler: ReturnType<typeof schedulerWith>): boolean {
    for (const name of ['running', 'ahead']) scheduler.offer(task(name, short), 0);
    const batches = [scheduler.poll(0), scheduler.poll(0)].filter(({ kind }) => kind === 'batch');
    for (const batch of batches) scheduler.finished(batchOf(batch), took(0.1));
    return batches.length === 2;
  }

  function taught() {
    const scheduler = schedulerWith({ ahead: 1 });
    teach(scheduler, short, () => 0.1);
    expect(isKnown(scheduler)).toBe(true);
    return scheduler;
  }

  it('is forgotten when there were very many keys', () => {
    const scheduler = taught();
    for (let i = 0; i < 1024; i++) {
      scheduler.offer(task('other', { ...alone, batchKey: `${i}` }), 0);
      scheduler.finished(batchOf(scheduler.poll(0)), took(1));
    }
    expect(isKnown(scheduler)).toBe(false);
  });

  it('is not forgotten for the parts of batches that failed', () => {
    const scheduler = taught();
    for (let i = 0; i < 2000; i++) {
      scheduler.readmit(task('part', { ...alone, batchKey: `part ${i}` }));
      scheduler.finished(batchOf(scheduler.poll(0)), took(1));
    }
    expect(isKnown(scheduler)).toBe(true);
  });
});

describe('tasks that go past the queue', () => {
  /** A scheduler that tenant t has had for itself for long, and whose batches may go ahead. */
  function ofOneTenant(options = {}) {
    const scheduler = schedulerWith(options);
    scheduler.offer(task('a'), 0);
    scheduler.finished(batchOf(scheduler.poll(0)), took(0.001));
    return scheduler;
  }

  it('are as many as a short batch takes, less those under way', () => {
    const scheduler = ofOneTenant();
    expect(scheduler.directRoom('t', 0.001, 100)).toBe(64);
    scheduler.directBegan(60);
    expect(scheduler.directRoom('t', 0.001, 100)).toBe(4);
    expect(scheduler.load).toBe(60);
    scheduler.directBegan(4);
    expect(scheduler.directRoom('t', 0.001, 100)).toBe(0);
    scheduler.directEnded(64, 't', 1, 0.064);
    expect(scheduler.directRoom('t', 0.001, 100)).toBe(64);
    expect(scheduler.load).toBe(0);
  });

  it('are none while others wait, of tasks that are not tiny, or not known', () => {
    const scheduler = ofOneTenant();
    expect(scheduler.directRoom('t', 0.02, 100)).toBe(0);
    expect(scheduler.directRoom('t', undefined, 100)).toBe(0);
    scheduler.offer(task('b'), 100);
    expect(scheduler.directRoom('t', 0.001, 100)).toBe(0);
    scheduler.poll(100);
    expect(scheduler.directRoom('t', 0.001, 100)).toBe(64);
  });

  it('are of the one tenant that has been alone for a while', () => {
    const scheduler = ofOneTenant();
    expect(scheduler.directRoom('u', 0.001, 100)).toBe(0);
    expect(scheduler.directRoom('t', 0.001, 49)).toBe(0);
    scheduler.offer(task('x', { tenant: 'u' }), 100);
    scheduler.poll(100);
    expect(scheduler.directRoom('t', 0.001, 200)).toBe(0);
    expect(scheduler.directRoom('u', 0.001, 149)).toBe(0);
    expect(scheduler.directRoom('u', 0.001, 150)).toBe(64);
  });

  it('are no more than may wait', () => {
    expect(ofOneTenant({ queueDepthMax: 9 }).directRoom('t', 0.001, 100)).toBe(9);
    expect(ofOneTenant({ tenantQueueDepthMax: 7 }).directRoom('t', 0.001, 100)).toBe(7);
    const named = ofOneTenant({ tenantQueueDepthOf: () => 5 });
    expect(named.directRoom('t', 0.001, 100)).toBe(5);
  });

  it('are charged to their tenant', () => {
    const firstOf = (workMs: number) => {
      const scheduler = ofOneTenant();
      scheduler.directBegan(10);
      scheduler.directEnded(10, 't', 1, workMs);
      // Both have been served, so that neither starts at what the other has.
      scheduler.offer(task('busy', { tenant: 'u', batchKey: 'n' }), 200);
      const busy = batchOf(scheduler.poll(200));
      scheduler.offer(task('x', { tenant: 'u', batchKey: 'n' }), 200);
      scheduler.offer(task('b'), 200);
      scheduler.finished(busy, took(10));
      return namesOf(scheduler.poll(200))[0];
    };
    expect(firstOf(0)).toBe('b');
    expect(firstOf(50)).toBe('x');
  });
});
