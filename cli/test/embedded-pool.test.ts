import { connect } from 'axle';
import { describe, expect, it } from 'vitest';

import { EmbeddedPool } from '../src/faas/embedded-pool.js';

const functionCount = 300;

describe('the pool of axle faas', () => {
  it('gives hundreds of functions that start at once a token each, and one of its own to each', async () => {
    const pool = await EmbeddedPool.open({ models: [], plugins: [], log: () => undefined });
    try {
      const names = Array.from({ length: functionCount }, (_, i) => `function-${i}`);
      const tokens = await Promise.all(names.map((name) => pool.tokenOf(name)));
      expect(new Set(tokens).size).toBe(functionCount);
      expect(await pool.tokenOf('function-0')).toBe(tokens[0]);
      for (const token of [tokens[0], tokens.at(-1)]) {
        const client = await connect(pool.url, { token });
        expect((await client.compress(Buffer.from('a'))).data.byteLength).toBeGreaterThan(0);
        await client.close();
      }
      await expect(connect(pool.url, { token: 'x' })).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
      });
    } finally {
      await pool.close(0);
    }
  });
});
