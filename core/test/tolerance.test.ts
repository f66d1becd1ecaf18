import { describe, expect, it } from 'vitest';

import {
  firstDifference,
  inferTolerance,
  isWithin,
  rankingDifference,
} from '../src/plugin-check/tolerance.js';

const limit = { relative: 0.1, absolute: 1 };

describe('isWithin', () => {
  it.each([
    [12.1, 10, false],
    [12, 10, true],
    [8, 10, true],
    [7.9, 10, false],
    [-12, -10, true],
    [-12.1, -10, false],
    [NaN, NaN, true],
    [NaN, 0, false],
    [0, NaN, false],
    [Infinity, Infinity, true],
    [-Infinity, Infinity, false],
    [1e300, Infinity, false],
    [-0, 0, true],
  ])('%d for %d: %s', (value, wanted, within) => {
    expect(isWithin(value, wanted, limit)).toBe(within);
  });

  it('is equality without a tolerance', () => {
    const exact = inferTolerance('INT32');
    expect(isWithin(5, 5, exact)).toBe(true);
    expect(isWithin(5, 6, exact)).toBe(false);
  });
});

describe('firstDifference', () => {
  it('names the first value that is apart, and another count', () => {
    expect(firstDifference([1, 2], [1, 2.5], limit)).toBeUndefined();
    expect(firstDifference([1, 9, 9], [1, 2, 3], limit)).toBe('value 1 is 9, not 2');
    expect(firstDifference([1], [1, 2], limit)).toBe('1 values instead of 2');
  });
});

describe('rankingDifference', () => {
  const scores = [0.9, 0.1, 0.5, 0.5001];
  const wanted = { indices: [0, 3, 2], scores: [0.9, 0.5001, 0.5] };
  const close = { relative: 0, absolute: 0.001 };
  const differ = (indices: readonly number[], given = wanted.scores) =>
    rankingDifference({ indices, scores: given }, wanted, (index) => scores[index] ?? NaN, close);

  it('lets only those change places whose scores are that close', () => {
    expect(differ([0, 3, 2])).toBeUndefined();
    expect(differ([0, 2, 3])).toBeUndefined();
    expect(differ([3, 0, 2])).toMatch(/index 0 is 3, not 0/);
    expect(differ([0, 3, 1])).toMatch(/index 2 is 1, not 2/);
  });

  it('finds an index twice, one that is none, another count, and another score', () => {
    expect(differ([0, 3, 3])).toMatch(/stands twice/);
    expect(differ([0, 3, 7])).toMatch(/index 2 is 7/);
    expect(differ([0, 3])).toMatch(/2 indices instead of 3/);
    expect(differ([0, 3, 2], [0.9, 0.6, 0.5])).toMatch(/of the scores, value 1 is 0.6/);
  });
});
