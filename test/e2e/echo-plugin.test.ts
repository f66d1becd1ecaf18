import { fileURLToPath } from 'node:url';

import { connect } from 'axle';
import { describe, expect, it } from 'vitest';

import { unavailableBesidesCards } from './plugins.js';

const path = fileURLToPath(new URL('../../plugins/echo/build/libaxle_echo.so', import.meta.url));

describe('the echo plugin', () => {
  it.each([{}, { spin_us: '50' }])('gives each input back, with %j', async (options) => {
    await using client = await connect({ plugins: [{ name: 'echo', path, options }] });
    const inputs = Array.from({ length: 3000 }, (_, i) => ({
      bytes: Uint8Array.of(i & 255, i >> 8).subarray(0, i % 3),
    }));
    const results = await client.run('echo.axle/echo', inputs);
    for (const [i, { outputs, device }] of results.entries()) {
      expect(device).toBe('echo:0');
      expect(outputs['bytes']?.data).toEqual(inputs[i]?.bytes);
    }
  });

  it('wakes up for a task that comes while it sleeps', async () => {
    await using client = await connect({ plugins: [{ name: 'echo', path, options: {} }] });
    for (let i = 0; i < 2000; i++) {
      const { outputs } = await client.run('echo.axle/echo', { bytes: Uint8Array.of(i & 255) });
      expect(outputs['bytes']?.data).toEqual(Uint8Array.of(i & 255));
    }
  });

  it.each([
    [{ spin_us: '10001' }, "spin_us is '10001'; give a whole number, 0 to 10000"],
    [{ spin_us: '-1' }, "spin_us is '-1'"],
    [{ spin_us: '5x' }, "spin_us is '5x'"],
    [{ spin_us: '' }, "spin_us is ''"],
    [{ spin: '5' }, "no option 'spin'"],
  ])('refuses the options %j', async (options, reason) => {
    await using client = await connect({ plugins: [{ name: 'echo', path, options }] });
    expect(await unavailableBesidesCards(client)).toEqual([
      { backend: 'echo', reason: expect.stringContaining(reason) as string },
    ]);
  });

  it('is not there for a device that it does not have', async () => {
    await using client = await connect({ plugins: [{ name: 'echo', path, device: 1 }] });
    expect(await unavailableBesidesCards(client)).toEqual([
      { backend: 'echo', reason: "plugin 'echo' has no device 1: it has 1 here, counted from 0" },
    ]);
    await using other = await connect({ plugins: [{ name: 'echo', path, device: 0 }] });
    expect((await other.devices()).devices.map(({ id }) => id)).toContain('echo:0');
  });
});
