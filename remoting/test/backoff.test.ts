import { expect, it } from 'vitest';

import { Backoff } from '../src/client/backoff.js';

it('tries at once, then waits a random part of a time that doubles up to three seconds', () => {
  const most = new Backoff(() => 1);
  const waits = Array.from({ length: 10 }, () => most.nextMs());
  expect(waits).toEqual([0, 50, 100, 200, 400, 800, 1600, 3000, 3000, 3000]);
  most.reset();
  expect(most.nextMs()).toBe(0);
  const half = new Backoff(() => 0.5);
  half.nextMs();
  expect([half.nextMs(), half.nextMs()]).toEqual([25, 50]);
});
