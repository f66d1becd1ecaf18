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

  it('may be opened twice with other options, and then goes by the names that it is given', async () => {
    const plugins = [
      { name: 'first', path, options: {} },
      { name: 'second', path, options: { spin_us: '50' } },
    ];
    await using client = await connect({ plugins });
    expect(await unavailableBesidesCards(client)).toEqual([]);
    for (const device of ['echo', 'second']) {
      const on = { device, strict: true };
      const result = await client.run('echo.axle/echo', { bytes: Uint8Array.of(7) }, on);
      expect(result.device).toBe(`${device}:0`);
    }
    const named = [
      { name: 'echo', path },
      { name: 'echo', path, options: { spin_us: '50' } },
    ];
    await using refused = await connect({ plugins: named });
    const reason = "there is a backend named 'echo' already; give one of them another name";
    expect(await unavailableBesidesCards(refused)).toEqual([{ backend: 'echo', reason }]);
  });

  it('has outputs whose data is of the type that their dtype says', async () => {
    await using client = await connect({ plugins: [{ name: 'echo', path }] });
    const { outputs } = await client.run('echo.axle/echo', { bytes: Uint8Array.of(7) });
    const { bytes } = outputs;
    if (bytes?.dtype !== 'UINT8') throw new Error(`bytes is ${bytes?.dtype ?? 'not there'}`);
    // Compiles only where the types are told apart by dtype.
    const data: Uint8Array = bytes.data;
    expect(data).toEqual(Uint8Array.of(7));
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
