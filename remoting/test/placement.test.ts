import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  betterOfTwo,
  placeApart,
  placeForModel,
  placeWithModel,
  type PlacementView,
} from '../src/pool/placement.js';

interface Place {
  readonly id: number;
  readonly isAllowed: boolean;
  readonly finishMs: number;
  readonly freeBytes: number;
  readonly hasModel: boolean;
}

const modelBytes = 100;

const places = fc
  .array(
    fc.record({
      isAllowed: fc.boolean(),
      finishMs: fc.integer({ min: 0, max: 1000 }),
      freeBytes: fc.integer({ min: 0, max: 200 }),
      hasModel: fc.boolean(),
    }),
    { maxLength: 12 },
  )
  .map((all): Place[] => all.map((place, id) => ({ id, ...place })));

/** Always the better one: what is explored has a test of its own. */
const draws = fc.array(fc.double({ min: 0.1, max: 0.999, noNaN: true }), { minLength: 8 });

function view(numbers: readonly number[], changes: Partial<PlacementView<Place>> = {}) {
  let drawn = 0;
  return {
    allows: ({ isAllowed }: Place) => isAllowed,
    finishMs: ({ finishMs }: Place) => finishMs,
    load: () => 0,
    fits: ({ freeBytes }: Place) => freeBytes >= modelBytes,
    freeBytes: ({ freeBytes }: Place) => freeBytes,
    loadMs: 50,
    host: ({ id }: Place) => String(id),
    fit: 'worst' as const,
    random: () => numbers[drawn++ % numbers.length] as number,
    ...changes,
  };
}

function havingOf(all: readonly Place[]): ReadonlySet<Place> {
  return new Set(all.filter(({ hasModel }) => hasModel));
}

describe('copies of a model', () => {
  const place = (id: number, changes: Partial<Place> = {}): Place => ({
    ...{ id, isAllowed: true, finishMs: 0, freeBytes: 200, hasModel: false },
    ...changes,
  });
  // Two devices on each machine.
  const host = ({ id }: Place) => `machine${id >> 1}`;

  it('are on machines apart while one is left that may take them', () => {
    fc.assert(
      fc.property(places, draws, (all, numbers) => {
        const having = havingOf(all);
        const isNew = (each: Place) => each.isAllowed && !having.has(each);
        const found = placeApart(all, having, view(numbers, { host, allows: isNew }));
        const hosts = new Set([...having].map(host));
        const isApart = (each: Place) => isNew(each) && !hosts.has(host(each));
        if (all.some(isApart)) expect(found !== undefined && isApart(found)).toBe(true);
        else if (all.some(isNew)) expect(found !== undefined && isNew(found)).toBe(true);
        else expect(found).toBeUndefined();
      }),
    );
  });

  it('that demand makes go to another machine, also where the same one would be sooner', () => {
    const first = place(0, { finishMs: 900, hasModel: true });
    const beside = place(1, { finishMs: 0 });
    const apart = place(2, { finishMs: 40 });
    const all = [first, beside, apart];
    expect(placeWithModel(all, new Set([first]), view([0.5], { host }))).toBe(apart);
    expect(placeWithModel([first, beside], new Set([first]), view([0.5], { host }))).toBe(beside);
  });
});

describe('placement', () => {
  it('finds a place whenever one is allowed, and never one that is not', () => {
    fc.assert(
      fc.property(places, draws, (all, numbers) => {
        const some = all.some(({ isAllowed }) => isAllowed);
        for (const found of [
          betterOfTwo(all, view(numbers)),
          placeForModel(all, view(numbers)),
          placeWithModel(all, havingOf(all), view(numbers)),
        ]) {
          expect(found?.isAllowed ?? false).toBe(some);
        }
      }),
    );
  });

  it('never takes the slowest of several, if it is by more than a little', () => {
    fc.assert(
      fc.property(places, draws, (all, numbers) => {
        const allowed = all.filter(({ isAllowed }) => isAllowed);
        fc.pre(allowed.length > 1);
        const times = allowed.map(({ finishMs }) => finishMs).sort((a, b) => b - a);
        const found = betterOfTwo(all, view(numbers)) as Place;
        expect(found.finishMs).toBeLessThanOrEqual(1.25 * (times[1] as number) + 1);
      }),
    );
  });

  it('leaves a place that has the model only for one that is sooner with the load of it', () => {
    fc.assert(
      fc.property(places, draws, (all, numbers) => {
        const found = placeWithModel(all, havingOf(all), view(numbers));
        const there = all.filter(({ isAllowed, hasModel }) => isAllowed && hasModel);
        if (found === undefined || found.hasModel || there.length === 0) return;
        const slowest = Math.max(...there.map(({ finishMs }) => finishMs));
        expect(found.finishMs + 50).toBeLessThan(slowest);
        expect(found.freeBytes).toBeGreaterThanOrEqual(modelBytes);
      }),
    );
  });

  it('loads a model where it fits, if it fits anywhere', () => {
    fc.assert(
      fc.property(places, draws, (all, numbers) => {
        const fits = all.some(({ isAllowed, freeBytes }) => isAllowed && freeBytes >= modelBytes);
        const found = placeForModel(all, view(numbers));
        if (fits) expect(found?.freeBytes).toBeGreaterThanOrEqual(modelBytes);
      }),
    );
  });

  it('packs with best fit, and leaves room everywhere with worst fit', () => {
    const common = { isAllowed: true, finishMs: 1, hasModel: false };
    const all = [110, 180, 130].map((freeBytes, id): Place => ({ id, freeBytes, ...common }));
    expect(placeForModel(all, view([0.5], { fit: 'best' }))?.freeBytes).toBe(110);
    expect(placeForModel(all, view([0.5], { fit: 'worst' }))?.freeBytes).toBe(180);
  });

  it('passes over a fuller queue by less than the load of a model only to keep to the fit', () => {
    const common = { isAllowed: true, hasModel: false };
    const near: Place = { id: 0, freeBytes: 110, finishMs: 1, ...common };
    const far: Place = { id: 1, freeBytes: 180, finishMs: 200, ...common };
    expect(placeForModel([near, far], view([0.5]))).toBe(near);
  });

  it('takes the worse of two now and then, so that it is known how that is', () => {
    const common = { isAllowed: true, freeBytes: 0, hasModel: false };
    const quick: Place = { id: 0, finishMs: 1, ...common };
    const slow: Place = { id: 1, finishMs: 9, ...common };
    expect(betterOfTwo([quick, slow], view([0.5, 0.5, 0.9]))).toBe(quick);
    expect(betterOfTwo([quick, slow], view([0.5, 0.5, 0.001]))).toBe(slow);
  });

  it('goes by what they have to do between places that are about as quick', () => {
    const common = { isAllowed: true, freeBytes: 0, hasModel: false };
    const busy: Place = { id: 0, finishMs: 10, ...common };
    const idle: Place = { id: 1, finishMs: 11, ...common };
    const load = ({ id }: Place) => 1 - id;
    expect(betterOfTwo([busy, idle], view([0.5, 0.1, 0.9], { load }))).toBe(idle);
  });

  it('spreads over equal places', () => {
    const common = { isAllowed: true, freeBytes: 0, hasModel: false };
    const loads = Array.from({ length: 10 }, () => 0);
    const all = loads.map((_, id) => ({ id, finishMs: 0, ...common }));
    const load = ({ id }: Place) => loads[id] as number;
    for (let i = 0; i < 1000; i++) {
      const found = betterOfTwo(all, { ...view([]), load, random: Math.random }) as Place;
      loads[found.id] = (loads[found.id] as number) + 1;
    }
    // 100 each; with one random choice the fullest would have some 115.
    expect(Math.max(...loads)).toBeLessThan(112);
  });
});
