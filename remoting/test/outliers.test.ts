import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { HedgeBudget } from '../src/pool/hedge-budget.js';
import { Outliers } from '../src/pool/outliers.js';

function withClock() {
  let now = 0;
  const outliers = new Outliers<string>(() => now);
  const judge = (averages: Record<string, number>) => {
    const all = new Map(Object.entries(averages));
    for (const place of all.keys()) outliers.judge(place, all, all.size);
  };
  return {
    outliers,
    judge,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

describe('a place that is far slower than the others', () => {
  it('is left alone, then tried with one task at a time, and is back when it is no slower', () => {
    const { outliers, judge, pass } = withClock();
    judge({ a: 10, b: 11, gray: 500 });
    expect(outliers.allows('gray', 0)).toBe(false);
    expect(outliers.reason('gray')).toBe('it takes 500 ms where others take 10.5');
    expect(outliers.allows('a', 9)).toBe(true);
    pass(2000);
    expect(outliers.allows('gray', 1)).toBe(false);
    expect(outliers.allows('gray', 0)).toBe(true);
    expect(outliers.entering('gray')).toBe(true);
    judge({ a: 10, b: 11, gray: 12 });
    expect(outliers.allows('gray', 9)).toBe(true);
    expect(outliers.ejections).toBe(1);
  });

  it('is left alone for twice as long whenever it is no better', () => {
    const { outliers, judge, pass } = withClock();
    let forMs = 2000;
    judge({ a: 10, gray: 500 });
    for (let i = 0; i < 8; i++) {
      pass(forMs - 1);
      expect(outliers.allows('gray', 0)).toBe(false);
      pass(1);
      expect(outliers.entering('gray')).toBe(true);
      judge({ a: 10, gray: 500 });
      forMs = Math.min(2 * forMs, 60_000);
    }
  });

  it('is found by races that it loses, too, as nobody waits for what it would have taken', () => {
    const { outliers, pass } = withClock();
    for (let i = 0; i < 2; i++) outliers.overtaken('gray', 2);
    outliers.finished('gray');
    for (let i = 0; i < 2; i++) outliers.overtaken('gray', 2);
    expect(outliers.allows('gray', 0)).toBe(true);
    outliers.overtaken('gray', 2);
    expect(outliers.allows('gray', 0)).toBe(false);
    // Under way when it was ejected.
    outliers.overtaken('gray', 2);
    pass(2000);
    outliers.entering('gray');
    outliers.overtaken('gray', 2);
    pass(2000);
    expect(outliers.allows('gray', 0)).toBe(false);
    pass(2000);
    expect(outliers.allows('gray', 0)).toBe(true);
  });

  it('is judged by no answer to a task that it had before', () => {
    const { outliers, judge } = withClock();
    judge({ a: 10, gray: 500 });
    judge({ a: 10, gray: 12 });
    expect(outliers.allows('gray', 0)).toBe(false);
  });

  it('is not a matter of a few milliseconds', () => {
    const { outliers, judge } = withClock();
    judge({ a: 0.5, b: 9 });
    expect(outliers.allows('b', 0)).toBe(true);
  });

  it('never is more than half of all', () => {
    const averages = fc.dictionary(
      fc.string({ minLength: 1, maxLength: 2 }),
      fc.integer({ min: 1, max: 100_000 }),
      { minKeys: 1, maxKeys: 12 },
    );
    fc.assert(
      fc.property(fc.array(averages, { maxLength: 5 }), (rounds) => {
        const { outliers, judge } = withClock();
        const all = new Set(rounds.flatMap((round) => Object.keys(round)));
        for (const round of rounds) judge(round);
        const ejected = [...all].filter((place) => !outliers.allows(place, 0));
        expect(ejected.length).toBeLessThanOrEqual(all.size / 2);
      }),
    );
  });
});

describe('the budget of hedges', () => {
  it('allows a few at once, and then one in twenty', () => {
    const budget = new HedgeBudget();
    let spent = 0;
    while (budget.spend()) spent += 1;
    expect(spent).toBe(10);
    for (let i = 0; i < 1000; i++) {
      budget.earn();
      if (budget.spend()) spent += 1;
    }
    expect(spent).toBeGreaterThanOrEqual(10 + 49);
    expect(spent).toBeLessThanOrEqual(10 + 50);
  });
});
