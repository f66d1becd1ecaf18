import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';

import { expect, it } from 'vitest';

import { settledWithin } from '../src/settled-within.js';

it.each([2 ** 31, Infinity])('waits for %d ms as long as a timer can', async (ms) => {
  let settled = false;
  const work = promisify(scrypt)('a word', 'salt', 32).then(() => {
    settled = true;
  });
  await settledWithin(work, ms);
  expect(settled).toBe(true);
});
