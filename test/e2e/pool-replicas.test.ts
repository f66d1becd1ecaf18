import { join } from 'node:path';

import { shippedModels, Tensor } from 'axle';
import { describe, expect, it, vi } from 'vitest';

import { kill, openPool } from './pool-kit.js';
import { serveUnix } from './serve.js';

const waitMs = 45_000;
const model = join(shippedModels, 'glyphs');
/** As much as the model takes at a time, so that it is the device that is busy and not the wire. */
const batch = 64;
const images = Tensor.from('FP32', new Float32Array(batch * 3 * 48 * 48), [batch, 3, 48, 48]);

describe('a model that is much in demand', () => {
  it('is on one more server before calls ask for it there', async () => {
    const [first] = await Promise.all([serveUnix('copied1.sock'), serveUnix('copied2.sock')]);
    const { client, backend } = await openPool('copied1', 'copied2');
    let isOver = false;
    // Named by the caller: no call brings the model to the other server.
    const call = async (strict: boolean) => {
      const device = 'copied1/cpu-fallback:0';
      const { outputs, steps } = await client.infer(model, { image: images }, { device, strict });
      expect(outputs['scores']?.shape).toEqual([batch, 34]);
      return steps.at(-1)?.device;
    };
    const callers = Array.from({ length: 8 }, async () => {
      while (!isOver) expect(await call(true)).toBe('copied1/cpu-fallback:0');
    });
    await vi.waitUntil(() => backend.counts.replicas > 0, { timeout: waitMs });
    isOver = true;
    await Promise.all(callers);
    expect(backend.models).toEqual([{ name: 'glyphs', copies: 2 }]);
    await kill(first);
    expect(await call(false)).toBe('copied2/cpu-fallback:0');
  });
});
