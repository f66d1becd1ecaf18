import { expect, it } from 'vitest';

import { LatencyProfile } from '../../src/scheduling/latency-profile.js';
import { chooseSloBatch, type SloTask } from '../../src/scheduling/slo-batch.js';

/** Knows that n items take 10 + n ms. */
function profile(): LatencyProfile {
  const learned = new LatencyProfile();
  for (const items of [1, 4, 8, 16, 2, 12]) learned.observe(items, 10 + items);
  return learned;
}

function due(...deadlines: readonly number[]): SloTask[] {
  return deadlines.map((deadlineAt) => ({ items: 1, deadlineAt }));
}

const free = due(...Array<number>(16).fill(Infinity));

it('gives up the same tasks whether or not tasks without a deadline could fill the batch', () => {
  const late = due(...Array.from({ length: 20 }, (_, i) => 11.5 + i / 4));
  const alone = chooseSloBatch(late, 16, profile(), 1, 0);
  const filled = chooseSloBatch([...late, ...free], 16, profile(), 1, 0);
  expect(alone?.first).toBeGreaterThan(0);
  expect(filled?.first).toBe(alone?.first);
});

it('runs tasks without a deadline where no deadline can be met', () => {
  expect(chooseSloBatch(due(1, 2), 16, profile(), 1, 0)).toBeUndefined();
  expect(chooseSloBatch([...due(1, 2), ...free], 16, profile(), 1, 0)).toEqual({
    first: 2,
    count: 16,
  });
});

it('fills the batch of those that have a deadline as far as they stay in time', () => {
  expect(chooseSloBatch([...due(15), ...free], 16, profile(), 1, 0)).toEqual({
    first: 0,
    count: 5,
  });
});
