import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { FunctionScale, type ScaleSettings } from '../src/scaling/function-scale.js';

const queueMsMax = 50_000;
/** For ever: a function would never settle otherwise. */
const ageMsMax = Infinity;
const idleMs = 1000;

const settingsArbitrary = fc
  .record({
    min: fc.integer({ min: 0, max: 3 }),
    more: fc.integer({ min: 0, max: 3 }),
    by: fc.constantFrom('concurrency' as const, 'rate' as const),
    target: fc.integer({ min: 1, max: 4 }),
    toZero: fc.boolean(),
    inFlightMax: fc.integer({ min: 1, max: 12 }),
    queueMax: fc.integer({ min: 0, max: 12 }),
    concurrency: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ min, more, concurrency, ...rest }): ScaleSettings => {
    const max = Math.max(1, min + more);
    return {
      generation: 1,
      concurrency,
      queueMsMax,
      ageMsMax,
      scaling: { min, max, idleMs, ...rest },
    };
  });

/** What happens next; `pick` chooses among the calls or instances that are there. */
const stepArbitrary = fc.record({
  what: fc.oneof(
    { weight: 8, arbitrary: fc.constant('call' as const) },
    { weight: 6, arbitrary: fc.constant('answer' as const) },
    { weight: 4, arbitrary: fc.constant('isReady' as const) },
    { weight: 1, arbitrary: fc.constant('startFails' as const) },
    { weight: 1, arbitrary: fc.constant('ends' as const) },
    { weight: 1, arbitrary: fc.constant('retires' as const) },
    { weight: 1, arbitrary: fc.constant('leaves' as const) },
    { weight: 1, arbitrary: fc.constant('update' as const) },
    { weight: 1, arbitrary: fc.constant('ask' as const) },
    { weight: 1, arbitrary: fc.constant('breaks' as const) },
    { weight: 3, arbitrary: fc.constant('time' as const) },
  ),
  pick: fc.nat(),
});

type Step = typeof stepArbitrary extends fc.Arbitrary<infer S> ? S : never;
type Fate = 'waits' | 'runs' | 'answered' | 'failed' | 'left' | 'refused';

interface World {
  readonly generation: number;
  isReady: boolean;
  readonly calls: Set<number>;
}

/** Does what a FunctionScale says, as a front end would, and holds it to its rules. */
class Simulation {
  readonly fates: Fate[] = [];
  readonly instances = new Map<string, World>();
  now = 0;
  private readonly scale: FunctionScale<number>;
  private readonly tickets = new Map<number, { call: number | undefined; offeredAt: number }>();
  private started = 0;
  private lastAssigned = -1;

  constructor(private settings: ScaleSettings) {
    this.scale = new FunctionScale(settings);
    this.advance();
  }

  step({ what, pick }: Step): void {
    const choose = <T>(all: readonly T[]): T | undefined => all[pick % Math.max(1, all.length)];
    const ready = this.ids(({ isReady }) => isReady);
    const starting = this.ids(({ isReady }) => !isReady);
    const busy = this.ids(({ calls }) => calls.size > 0);
    switch (what) {
      case 'call':
        this.offer();
        break;
      case 'answer':
        this.free(choose(busy), pick);
        break;
      case 'isReady':
        this.becomesReady(choose(starting));
        break;
      case 'startFails':
        this.end(choose(starting));
        break;
      case 'breaks':
        this.end(choose(starting), 'broken');
        break;
      case 'ask': {
        const { min, max } = this.settings.scaling;
        const within = this.scale.ask(pick % 12, this.now);
        expect(within).toBe(Math.min(max, Math.max(min, pick % 12)));
        break;
      }
      case 'ends':
        this.end(choose(ready));
        break;
      case 'retires':
        this.scale.retire(choose(ready) ?? '', this.now);
        break;
      case 'leaves':
        this.leave(choose([...this.tickets.keys()]));
        break;
      case 'update':
        this.settings = { ...this.settings, generation: this.settings.generation + 1 };
        this.scale.update(this.settings);
        break;
      case 'time':
        this.now += pick % 3000;
        break;
    }
    this.advance();
    this.check();
  }

  /** Nothing bad happens any more, and no call comes. */
  settle(): void {
    for (let turns = 0; ; turns++) {
      expect(turns).toBeLessThan(1000);
      for (const id of this.ids(({ isReady }) => !isReady)) this.becomesReady(id);
      for (const id of this.ids(({ calls }) => calls.size > 0)) this.free(id, 0);
      this.advance();
      this.check();
      const isBusy = [...this.instances.values()].some(
        ({ isReady, calls }) => !isReady || calls.size > 0,
      );
      if (isBusy) continue;
      const at = this.scale.nextAt(this.now);
      if (at === Infinity) return;
      expect(at).toBeGreaterThan(this.now);
      this.now = at;
      this.advance();
    }
  }

  private offer(): void {
    const call = this.fates.length;
    const offered = this.scale.offer(call, this.now);
    const { inFlightMax, queueMax } = this.settings.scaling;
    const accepted = this.count('waits') + this.count('runs');
    if (typeof offered === 'string') {
      this.fates.push('refused');
      if (offered === 'full') expect(accepted).toBeGreaterThanOrEqual(inFlightMax + queueMax);
      else expect(this.instances.size).toBe(this.ids(({ calls }) => calls.size > 0).length);
      return;
    }
    expect(accepted).toBeLessThan(inFlightMax + queueMax);
    this.fates.push('waits');
    this.tickets.set(call, offered);
  }

  private leave(call: number | undefined): void {
    const ticket = this.tickets.get(call as number);
    if (ticket === undefined) return;
    expect(this.scale.withdraw(ticket)).toBe(true);
    expect(this.scale.withdraw(ticket)).toBe(false);
    this.move(call as number, 'waits', 'left');
  }

  private free(id: string | undefined, pick: number): void {
    const instance = this.instances.get(id ?? '');
    if (instance === undefined) return;
    const calls = [...instance.calls];
    const call = calls[pick % calls.length] as number;
    instance.calls.delete(call);
    this.move(call, 'runs', 'answered');
    this.scale.freed(id as string, true, this.now);
  }

  private becomesReady(id: string | undefined): void {
    const instance = this.instances.get(id ?? '');
    if (instance === undefined) return;
    instance.isReady = true;
    this.scale.isReady(id as string, this.now);
  }

  private end(id: string | undefined, how: 'ended' | 'broken' = 'ended'): void {
    const instance = this.instances.get(id ?? '');
    if (instance === undefined) return;
    this.instances.delete(id as string);
    this.scale.ended(id as string, this.now, how);
    for (const call of instance.calls) {
      this.move(call, 'runs', 'failed');
      this.scale.freed(id as string, false, this.now);
    }
  }

  private advance(): void {
    const { scale, now } = this;
    for (let next = scale.next(now); next !== undefined; next = scale.next(now)) {
      const { call, instance } = next;
      expect(call).toBeGreaterThan(this.lastAssigned);
      this.lastAssigned = call;
      const taker = this.instances.get(instance) as World;
      expect(taker.isReady).toBe(true);
      taker.calls.add(call);
      this.move(call, 'waits', 'runs');
    }
    const { start, stop } = scale.changes(now);
    for (let i = 0; i < start; i++) {
      this.started += 1;
      const { generation } = this.settings;
      this.instances.set(`${this.started}`, { generation, isReady: false, calls: new Set() });
      scale.started(`${this.started}`, now);
    }
    for (const id of stop) {
      expect(this.instances.get(id)?.calls.size ?? 0).toBe(0);
      if (this.instances.delete(id)) scale.ended(id, now);
    }
    for (const call of scale.strandedCalls(now).calls) this.move(call, 'waits', 'failed');
  }

  private check(): void {
    const { concurrency, scaling, generation } = this.settings;
    const { running, waiting } = this.scale.report();
    expect([running, waiting]).toEqual([this.count('runs'), this.count('waits')]);
    expect(running).toBeLessThanOrEqual(scaling.inFlightMax);
    for (const { calls } of this.instances.values()) {
      expect(calls.size).toBeLessThanOrEqual(concurrency);
    }
    const all = [...this.instances.values()];
    // Those of an older generation leave once those of the present one are there.
    if (all.every((each) => each.generation === generation)) {
      expect(this.scale.report().instances).toBeLessThanOrEqual(scaling.max);
    }
  }

  private move(call: number, from: Fate, to: Fate): void {
    expect(this.fates[call]).toBe(from);
    this.fates[call] = to;
    this.tickets.delete(call);
  }

  private count(fate: Fate): number {
    return this.fates.filter((each) => each === fate).length;
  }

  private ids(is: (instance: World) => boolean): string[] {
    return [...this.instances].filter(([, each]) => is(each)).map(([id]) => id);
  }
}

describe('the scale of a function', () => {
  it('keeps its bounds, loses no call, and settles at as many instances as are asked for', () => {
    fc.assert(
      fc.property(
        settingsArbitrary,
        fc.array(stepArbitrary, { maxLength: 120 }),
        (settings, steps) => {
          const simulation = new Simulation(settings);
          for (const step of steps) simulation.step(step);
          simulation.settle();
          const open = simulation.fates.filter((fate) => fate === 'waits' || fate === 'runs');
          expect(open).toEqual([]);
          const { min, toZero } = settings.scaling;
          expect(simulation.instances.size).toBe(toZero ? 0 : Math.max(1, min));
        },
      ),
      { numRuns: 300 },
    );
  });

  const plain: ScaleSettings = {
    generation: 1,
    concurrency: 4,
    queueMsMax,
    ageMsMax,
    scaling: {
      min: 0,
      max: 10,
      by: 'concurrency',
      target: 2,
      toZero: true,
      idleMs,
      inFlightMax: 100,
      queueMax: 100,
    },
  };

  /** Starts what it says. */
  function startAll(scale: FunctionScale<number>, prefix: string, now: number): number {
    const { start } = scale.changes(now);
    for (let i = 0; i < start; i++) scale.started(`${prefix}${i}`, now);
    return start;
  }

  it('starts as many as the calls ask for, and gives each as many as are its target', () => {
    const scale = new FunctionScale<number>(plain);
    for (let call = 0; call < 5; call++) scale.offer(call, 0);
    expect(startAll(scale, 'a', 0)).toBe(3);
    for (const id of ['a0', 'a1', 'a2']) scale.isReady(id, 1);
    const takers = Array.from({ length: 5 }, () => scale.next(1)?.instance);
    expect(takers).toEqual(['a0', 'a1', 'a2', 'a0', 'a1']);
  });

  it('by rate, has as many as the calls of a second ask for, however short they are', () => {
    const scaling = { ...plain.scaling, by: 'rate' as const, target: 10 };
    const scale = new FunctionScale<number>({ ...plain, scaling });
    let started = 0;
    for (let call = 0; call < 250; call++) {
      const now = call * 20;
      scale.offer(call, now);
      const begun = startAll(scale, `${call}.`, now);
      for (let i = 0; i < begun; i++) scale.isReady(`${call}.${i}`, now);
      started += begun;
      const assigned = scale.next(now);
      if (assigned !== undefined) scale.freed(assigned.instance, true, now);
    }
    expect(started).toBe(5);
  });

  it('counts one that fails when it says so, and not again when it is gone', () => {
    const scale = new FunctionScale<number>(plain);
    scale.offer(0, 0);
    expect(startAll(scale, 'a', 0)).toBe(1);
    scale.isReady('a0', 0);
    expect(scale.next(0)).toEqual({ call: 0, instance: 'a0' });
    scale.retire('a0', 10);
    scale.offer(1, 10);
    expect(startAll(scale, 'early', 109)).toBe(0);
    scale.freed('a0', false, 110);
    scale.ended('a0', 110);
    expect(startAll(scale, 'b', 110)).toBe(1);
  });

  it('replaces an instance past its age, which serves until the other is ready and its calls end', () => {
    const scale = new FunctionScale<number>({ ...plain, ageMsMax: 5000 });
    scale.offer(0, 0);
    expect(startAll(scale, 'a', 0)).toBe(1);
    scale.isReady('a0', 0);
    expect(scale.next(0)).toEqual({ call: 0, instance: 'a0' });
    expect(scale.changes(4999)).toEqual({ start: 0, stop: [] });
    expect(startAll(scale, 'b', 5000)).toBe(1);
    scale.offer(1, 5001);
    expect(scale.next(5001)).toEqual({ call: 1, instance: 'a0' });
    scale.isReady('b0', 5002);
    expect(scale.changes(5002)).toEqual({ start: 0, stop: [] });
    scale.offer(2, 5003);
    expect(scale.next(5003)).toEqual({ call: 2, instance: 'b0' });
    scale.freed('a0', true, 5004);
    scale.freed('a0', true, 5004);
    expect(scale.changes(5004)).toEqual({ start: 0, stop: ['a0'] });
    expect(scale.nextAt(5004)).toBeLessThanOrEqual(5002 + 5000);
  });

  it('after crashes keeps who calls waiting for the next start, and not for one that failed', () => {
    const scale = new FunctionScale<number>(plain);
    scale.offer(0, 0);
    startAll(scale, 'a', 0);
    scale.ended('a0', 10);
    // It waited for this start.
    expect(scale.strandedCalls(10)).toEqual({ calls: [0], why: 'failing' });
    scale.offer(1, 20);
    scale.offer(2, 30);
    expect(scale.strandedCalls(30).calls).toEqual([]);
    expect(startAll(scale, 'early', 109)).toBe(0);
    expect(scale.nextAt(30)).toBe(110);
    expect(startAll(scale, 'b', 110)).toBe(1);
    scale.offer(3, 111);
    scale.ended('b0', 120);
    // The last of them came when this start had begun, and has one of its own to wait for.
    expect(scale.strandedCalls(120)).toEqual({ calls: [1, 2], why: 'failing' });
    expect(startAll(scale, 'c', 320)).toBe(1);
    scale.isReady('c0', 330);
    expect(scale.next(330)).toEqual({ call: 3, instance: 'c0' });
    // One that ran and crashed takes along what it had, and nothing else.
    scale.offer(4, 331);
    expect(scale.next(331)).toEqual({ call: 4, instance: 'c0' });
    scale.offer(5, 332);
    scale.ended('c0', 340);
    scale.freed('c0', false, 340);
    scale.freed('c0', false, 340);
    expect(scale.strandedCalls(340).calls).toEqual([]);
    expect(scale.report().waiting).toBe(1);
    // Also where it ended by what stays so: it could be started, and the next may do better.
    expect(startAll(scale, 'd', 5000)).toBe(1);
    scale.isReady('d0', 5001);
    scale.ended('d0', 5002, 'broken');
    expect(scale.offer(6, 5003)).not.toBe('failing');
    expect(scale.strandedCalls(5003).calls).toEqual([]);
  });

  it('tries again at once when what kept it from starting may be gone', () => {
    const scale = new FunctionScale<number>({
      ...plain,
      scaling: { ...plain.scaling, min: 1, toZero: false },
    });
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      expect(startAll(scale, id, 100_000)).toBe(1);
      scale.ended(`${id}0`, 100_000, 'broken');
      scale.retry();
    }
    expect(startAll(scale, 'f', 100_000)).toBe(1);
  });

  it('has as many as somebody asks for within its bounds, and fewer again when they were idle', () => {
    const scale = new FunctionScale<number>({
      ...plain,
      scaling: { ...plain.scaling, min: 2, max: 6, toZero: false },
    });
    expect(startAll(scale, 'a', 0)).toBe(2);
    for (const id of ['a0', 'a1']) scale.isReady(id, 0);
    expect(scale.ask(500, 10)).toBe(6);
    expect(startAll(scale, 'b', 10)).toBe(4);
    for (const id of ['b0', 'b1', 'b2', 'b3']) scale.isReady(id, 20);
    expect(scale.report().instances).toBe(6);
    expect(scale.nextAt(idleMs + 1)).toBe(10 + idleMs);
    expect(scale.changes(10 + idleMs - 1).stop).toEqual([]);
    expect([...scale.changes(20 + idleMs).stop].sort()).toEqual(['b0', 'b1', 'b2', 'b3']);
    expect(scale.report().instances).toBe(2);
    expect(scale.ask(4, 5000)).toBe(4);
    expect(startAll(scale, 'c', 5000)).toBe(2);
    for (const id of ['c0', 'c1']) scale.isReady(id, 5000);
    // Fewer at once, but never one with a call.
    for (let call = 0; call < 8; call++) scale.offer(call, 5001);
    for (let call = 0; call < 8; call++) expect(scale.next(5001)?.call).toBe(call);
    for (let call = 0; call < 2; call++) scale.freed('c1', true, 5002);
    expect(scale.ask(1, 5003)).toBe(2);
    expect(scale.changes(5003).stop).toEqual(['c1']);
    // Nor are those kept that only come when fewer are asked for.
    expect(scale.ask(6, 6000)).toBe(6);
    expect(startAll(scale, 'd', 6000)).toBe(3);
    expect(scale.ask(4, 6001)).toBe(4);
    for (const id of ['d0', 'd1', 'd2']) scale.isReady(id, 6002);
    expect(scale.changes(6002).stop).toEqual(['d1', 'd2']);
  });

  it('after failures that stay waits ever longer, and says so to whoever calls meanwhile', () => {
    const scale = new FunctionScale<number>(plain);
    let now = 0;
    const waits: number[] = [];
    for (let turn = 0; turn < 9; turn++) {
      scale.offer(turn, now);
      expect(startAll(scale, `${turn}.`, now)).toBe(1);
      scale.ended(`${turn}.0`, now, 'broken');
      expect(scale.strandedCalls(now)).toEqual({ calls: [turn], why: 'failing' });
      expect(scale.offer(-1, now)).toBe('failing');
      expect(scale.changes(now).start).toBe(0);
      const from = now;
      while (scale.offer(turn, now) === 'failing') now += 50;
      waits.push(now - from);
      for (const call of scale.dropWaiting()) expect(call).toBe(turn);
    }
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  });
});
