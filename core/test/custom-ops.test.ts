import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Client } from '../src/client.js';
import { connectLocal } from '../src/connect.js';
import { AxleError } from '../src/errors.js';
import { defaultLimits } from '../src/limits.js';
import { nativeAddonPath } from '../src/native-loader.js';
import { Tensor } from '../src/tensor.js';

const path = join(dirname(nativeAddonPath()), 'axle_test_plugin.so');
let client: Client;

beforeAll(async () => {
  client = await connectLocal({ plugins: [{ name: 'test', path, options: {} }] });
});
afterAll(() => client.close());

const any = Uint8Array.of(1, 2, 3);

describe('custom ops', () => {
  it('are listed with what they take and give, and who offers them', async () => {
    const ops = await client.ops();
    expect(ops.map(({ name }) => name)).toEqual([...ops.map(({ name }) => name)].sort());
    expect(ops.find(({ name }) => name === 'test.axle/echo')).toEqual({
      name: 'test.axle/echo',
      version: 1,
      doc: 'Gives its inputs back.',
      args: [
        { name: 'delay_ms', type: 'INT', doc: 'How long it takes.', required: false },
        { name: 'label', type: 'STRING', doc: 'Not used.', required: true },
      ],
      inputs: [{ name: 'any', dtype: 'UINT8', shape: [-1] }],
      outputs: [{ name: 'any', dtype: 'UINT8', shape: [-1] }],
      streamable: true,
      devices: ['test:test:0', 'test:test:1'],
    });
  });

  it('run like any other: on a device that is named, alone or as an array', async () => {
    const args = { label: 'x' };
    const one = await client.run('test.axle/echo', { any }, { args, device: 'test:test:1' });
    expect(one.outputs['any']?.data).toEqual(any);
    expect(one).toMatchObject({ op: 'test.axle/echo', device: 'test:test:1', fallbacks: [] });
    expect(one.steps.map(({ step }) => step)).toEqual(['test.axle/echo']);
    const inputs = Array.from({ length: 300 }, (_, i) => ({ any: Uint8Array.of(i & 255, i >> 8) }));
    const many = await client.run('test.axle/echo@1', inputs, { args });
    expect(many.map(({ outputs }) => outputs['any']?.data)).toEqual(
      inputs.map((input) => input.any),
    );
  });

  it('are batched where they say that they may be', async () => {
    const inputs = Array.from({ length: 64 }, () => ({}));
    const results = await client.run('test.axle/batched', inputs);
    expect(Math.max(...results.map(({ steps }) => steps[0]?.batchSize ?? 0))).toBeGreaterThan(1);
  });

  it('stop when their call is aborted', async () => {
    const abort = new AbortController();
    const args = { label: 'x', delay_ms: 60_000 };
    const call = client.run('test.axle/echo', { any }, { args, signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
  });

  it('take arguments up to their limit together, and none past it', async () => {
    const frames = 'label'.length + 10 + 'delay_ms'.length + 10;
    const most = defaultLimits.argBytesMax - frames;
    const run = (its: Client, label: string) =>
      its.run('test.axle/echo', { any }, { args: { label, delay_ms: 0 } });
    expect((await run(client, 'x'.repeat(most))).outputs['any']?.data).toEqual(any);
    // Two bytes for each of these in UTF-8.
    const over = 'ä'.repeat(most / 2) + 'x'.repeat(1 + (most % 2));
    await expect(run(client, over)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(
        /^argument 'label' of op 'test.axle\/echo' takes \d+ of 16777217 bytes .* argBytesMax is 16777216/,
      ) as string,
    });
    const limits = { argBytesMax: frames + 3 };
    await using strict = await connectLocal({
      plugins: [{ name: 'test', path, options: {} }],
      limits,
    });
    await run(strict, 'abc');
    await expect(run(strict, 'abcd')).rejects.toThrow(/argBytesMax/);
  });

  it.each<[string, string, Record<string, unknown>, object, string, RegExp]>([
    [
      'an op that nobody offers',
      'test.axle/nope',
      {},
      {},
      'NOT_FOUND',
      /there are: test.axle\/args@1/,
    ],
    ['a version that nobody offers', 'test.axle/echo@2', {}, {}, 'NOT_FOUND', /echo@2/],
    [
      'a missing argument',
      'test.axle/echo',
      { any },
      {},
      'INVALID_ARGUMENT',
      /'label' of op 'test.axle\/echo' is missing; it takes a string/,
    ],
    [
      'an unknown argument',
      'test.axle/echo',
      { any },
      { label: '', speed: 1 },
      'INVALID_ARGUMENT',
      /no argument 'speed'; it has 'delay_ms', 'label'/,
    ],
    [
      'an argument of another type',
      'test.axle/echo',
      { any },
      { label: 5 },
      'INVALID_ARGUMENT',
      /'label' of op 'test.axle\/echo' is 5; give a string/,
    ],
    [
      'a fraction for a whole number',
      'test.axle/echo',
      { any },
      { label: '', delay_ms: 0.5 },
      'INVALID_ARGUMENT',
      /is 0.5; give a whole number within 2\^53/,
    ],
    [
      'a missing input',
      'test.axle/echo',
      {},
      { label: '' },
      'INVALID_ARGUMENT',
      /input 'any' of op 'test.axle\/echo' is missing; it takes UINT8 \[any\]/,
    ],
    [
      'an input of another type',
      'test.axle/echo',
      { any: Tensor.from('INT8', Int8Array.of(1), [1]) },
      { label: '' },
      'INVALID_ARGUMENT',
      /takes UINT8 \[any\], not INT8 \[1\]/,
    ],
  ])('refuse %s', async (_, op, inputs, args, code, message) => {
    const error = await client
      .run(op, inputs as Record<string, Uint8Array>, { args: args as Record<string, string> })
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AxleError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
  });
});
