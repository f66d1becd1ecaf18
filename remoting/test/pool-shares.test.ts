import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { PoolShares } from '../src/pool/pool-shares.js';

const places = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];

describe('what tenants had of a pool', () => {
  it('is told each place as far as it was elsewhere, once, however many pools tell it', () => {
    const use = fc.record({
      pool: fc.integer({ min: 0, max: 2 }),
      place: fc.integer({ min: 0, max: 2 }),
      ms: fc.integer({ min: 10, max: 40 }),
      tells: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(use, { maxLength: 60 }), (uses) => {
        const pools = Array.from({ length: 3 }, () => new PoolShares<object>());
        const used = places.map(() => 0);
        const told = places.map(() => 0);
        const tell = (pool: number, at: number) => {
          told[at] =
            (told[at] ?? 0) + (pools[pool]?.takeUntold('gpu', places[at] as object, 't') ?? 0);
        };
        for (const { pool, place, ms, tells } of uses) {
          pools[pool]?.used('gpu', places[place] as object, 't', ms);
          used[place] = (used[place] ?? 0) + ms;
          // What is more than a second at a time is left out, and is not the case here.
          if (tells) for (const at of places.keys()) tell(pool, at);
        }
        for (const pool of pools.keys()) for (const at of places.keys()) tell(pool, at);
        const all = used.reduce((sum, ms) => sum + ms, 0);
        // Bounds on what is told at a time only ever leave some out.
        for (const at of places.keys()) {
          const elsewhere = all - (used[at] ?? 0);
          if (all <= 1000) expect(told[at]).toBe(elsewhere);
          else expect(told[at]).toBeLessThanOrEqual(elsewhere);
        }
      }),
    );
  });

  it('is of each tenant and of each kind of device by itself, and little of it waits', () => {
    const shares = new PoolShares<object>();
    const [a, b] = places as [object, object];
    shares.used('gpu', a, 'one', 4);
    expect(shares.takeUntold('gpu', b, 'one')).toBe(0);
    shares.used('gpu', a, 'one', 4);
    expect(shares.takeUntold('gpu', b, 'two')).toBe(0);
    expect(shares.takeUntold('cpu', b, 'one')).toBe(0);
    expect(shares.takeUntold('gpu', a, 'one')).toBe(0);
    expect(shares.takeUntold('gpu', b, 'one')).toBe(8);
    expect(shares.takeUntold('gpu', b, 'one')).toBe(0);
    shares.used('gpu', a, 'one', 5000);
    expect(shares.takeUntold('gpu', b, 'one')).toBe(1000);
  });

  it('is told where tasks wait already, from time to time', () => {
    const shares = new PoolShares<object>();
    const [a, b, c] = places as [object, object, object];
    for (const place of [a, b, b]) shares.began('gpu', place, 't');
    shares.used('gpu', a, 't', 30);
    expect(shares.takeDue('gpu', 't', 1000)).toEqual([{ place: b, deviceMs: 30 }]);
    shares.used('gpu', c, 't', 40);
    expect(shares.takeDue('gpu', 't', 1010)).toEqual([]);
    const both = [
      { place: a, deviceMs: 40 },
      { place: b, deviceMs: 40 },
    ];
    expect(shares.takeDue('gpu', 't', 1030)).toEqual(both);
    shares.ended('gpu', b, 't');
    shares.used('gpu', a, 't', 50);
    expect(shares.takeDue('gpu', 't', 2000)).toEqual([{ place: b, deviceMs: 50 }]);
    shares.ended('gpu', b, 't');
    shares.used('gpu', a, 't', 50);
    expect(shares.takeDue('gpu', 't', 3000)).toEqual([]);
  });
});
