import { fileURLToPath } from 'node:url';

import { connect, type Client } from 'axle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { unavailableBesidesCards } from './plugins.js';

const path = fileURLToPath(
  new URL('../../plugins/template/build/libaxle_template.so', import.meta.url),
);
const spec = { name: 'template', path, options: {} };
let client: Client;

beforeAll(async () => {
  client = await connect({ plugins: [spec] });
});
afterAll(() => client.close());

describe('the plugin to copy', () => {
  it('runs its op, beside the other plugins', async () => {
    const inputs = Array.from({ length: 500 }, (_, i) => ({
      bytes: new Uint8Array(i * 7).fill(i & 255),
    }));
    const results = await client.run('example.axle/invert', inputs);
    for (const [i, { outputs, device }] of results.entries()) {
      expect(device).toBe('template:0');
      expect(outputs['bytes']?.data).toEqual(new Uint8Array(i * 7).fill(255 - (i & 255)));
    }
    expect((await client.devices()).devices.map(({ backend }) => backend)).toContain(
      'cpu-fallback',
    );
  });

  it('stops for nobody', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    const call = client.run('example.axle/invert', { bytes: new Uint8Array(1) }, { signal });
    await expect(call).rejects.toThrow('enough');
  });

  it('is unavailable with an option that it does not know', async () => {
    await using other = await connect({ plugins: [{ ...spec, options: { speed: '2' } }] });
    expect(await unavailableBesidesCards(other)).toEqual([
      { backend: 'template', reason: expect.stringContaining("no option 'speed'") as string },
    ]);
  });
});
