import { describe, expect, it } from 'vitest';

import { ModelDemand } from '../src/pool/model-demand.js';

const secondMs = 1000;

/** So much of each second is taken by the model, for so long. */
function busy(demand: ModelDemand, part: number, fromMs: number, seconds: number): number {
  let now = fromMs;
  for (let i = 0; i < seconds * 10; i++) {
    now += secondMs / 10;
    demand.note('m', (part * secondMs) / 10, now);
  }
  return now;
}

describe('the copies that a model needs', () => {
  it('are one more before those that there are have no time left, and follow the demand down again', () => {
    const demand = new ModelDemand();
    expect(demand.copies('m', 1, 0)).toBe(1);
    let now = busy(demand, 0.5, 0, 60);
    expect(demand.copies('m', 1, now)).toBe(1);
    now = busy(demand, 0.85, now, 60);
    expect(demand.copies('m', 1, now)).toBe(2);
    // A device that does two at a time has room for it.
    expect(demand.copies('m', 2, now)).toBe(1);
    now = busy(demand, 2.6, now, 60);
    expect(demand.copies('m', 1, now)).toBe(4);
    now = busy(demand, 0.1, now, 60);
    expect(demand.copies('m', 1, now)).toBe(1);
  });

  it('are not by one burst, which is over before a copy is there', () => {
    const demand = new ModelDemand();
    const now = busy(demand, 1, 0, 3);
    expect(demand.copies('m', 1, now)).toBe(1);
  });

  it('go one at a time, when fewer have been enough for a minute', () => {
    const demand = new ModelDemand();
    const surplus = (there: number, wanted: number, now: number) =>
      demand.hasSurplus('m', there, wanted, now);
    expect(surplus(3, 1, 0)).toBe(false);
    expect(surplus(3, 1, 59_999)).toBe(false);
    expect(surplus(3, 1, 60_000)).toBe(true);
    expect(surplus(2, 1, 60_001)).toBe(false);
    // They were needed meanwhile.
    expect(surplus(2, 2, 100_000)).toBe(false);
    expect(surplus(2, 1, 120_001)).toBe(false);
    expect(surplus(2, 1, 180_001)).toBe(true);
  });
});
