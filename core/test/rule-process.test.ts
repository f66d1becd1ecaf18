import { join } from 'node:path';

import { expect, it } from 'vitest';

import { checkPlugin } from '../dist/plugin-check.js';

const path = join(import.meta.dirname, '../../plugins/fault/build/libaxle_fault.so');

/** Keeps this process from listening, but for moments. */
function stall(): void {
  const until = performance.now() + 1500;
  while (performance.now() < until);
}

it('a rule that has more to tell than its parent hears at once loses none of it', async () => {
  const stalling = setInterval(stall, 1);
  try {
    const [result] = await checkPlugin(path, { rules: ['opening-leaks'] });
    expect(result).toMatchObject({ verdict: 'pass', reason: '' });
  } finally {
    clearInterval(stalling);
  }
}, 60_000);
