import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { CustomOpSpec, Device, NamedTensor, TaskOutcome } from '../src/backend.js';
import type { Client } from '../src/client.js';
import { connectLocal } from '../src/connect.js';
import { describeCustomOps } from '../src/custom-ops.js';
import { describeDevices } from '../src/describe-devices.js';
import { AxleError } from '../src/errors.js';
import { defaultLimits } from '../src/limits.js';
import { LocalClient } from '../src/local-client.js';
import { NativeHost } from '../src/native-backend.js';
import { nativeAddonPath } from '../src/native-loader.js';
import { customOp } from '../src/op.js';
import { Registry } from '../src/registry.js';
import { Runtime } from '../src/runtime.js';
import { Session } from '../src/session.js';
import { Tensor } from '../src/tensor.js';
import { TestBackend } from './test-backend.js';

const path = join(dirname(nativeAddonPath()), 'axle_test_plugin.so');
let client: Client;

beforeAll(async () => {
  client = await connectLocal({ plugins: [{ name: 'test', path }] });
});
afterAll(() => client.close());

const any = Uint8Array.of(1, 2, 3);

function resizable(bytes: number): ArrayBuffer & { resize(bytes: number): void } {
  const options = [bytes, { maxByteLength: bytes }] as unknown as [number];
  return new ArrayBuffer(...options) as ArrayBuffer & { resize(bytes: number): void };
}

function transferred(): Uint8Array {
  const memory = new Uint8Array(8);
  structuredClone(memory, { transfer: [memory.buffer] });
  return memory;
}

describe('custom ops', () => {
  it('refuse a name that is none, and show no more of a long one than helps', async () => {
    const plain = client as unknown as Record<'run' | 'explain', (op: unknown) => Promise<unknown>>;
    for (const op of [Symbol('op'), undefined, 5, {}]) {
      const refusal = { name: 'AxleError', code: 'INVALID_ARGUMENT' };
      await expect(plain.run(op)).rejects.toMatchObject(refusal);
      await expect(plain.explain(op)).rejects.toMatchObject(refusal);
    }
    for (const op of ['a/' + 'x'.repeat(200_000), 'x'.repeat(200_000)]) {
      for (const call of [plain.run(op), plain.explain(op)]) {
        const error: unknown = await call.catch((reason: unknown) => reason);
        expect(error).toMatchObject({ code: 'NOT_FOUND' });
        expect((error as Error).message.length).toBeLessThan(2000);
      }
    }
  });

  it('are listed once for each device that offers them, where a server has them from two plugins', async () => {
    const range = customOp('test.axle/twin', 1);
    const both = new TestBackend('twins', [range, range], () => []);
    const spec = { doc: '', args: [], inputs: [], outputs: [] };
    const ops = both.ops.map((op) => ({ ...op, name: 'test.axle/twin', spec }));
    const [first] = both.devices as [Device];
    const devices = [first, { ...first, id: 'twins:1', index: 1 }];
    const backend = Object.assign(both, {
      ops,
      devices,
      offers: ({ index }: Device) => index === 0,
    });
    const registry = new Registry();
    registry.add(backend);
    expect(describeCustomOps(registry)).toMatchObject([
      { name: 'test.axle/twin', devices: ['twins:0'] },
    ]);
    const report = await describeDevices(registry, () => 0);
    expect(report.devices.map((device) => device.ops)).toEqual([['test.axle/twin'], []]);
  });

  it('are not offered by a plugin that describes them otherwise than one before it', async () => {
    const range = customOp('test.axle/same', 1);
    const spec = { doc: 'One.', args: [], inputs: [], outputs: [] };
    const arg = { name: 'gain', type: 'INT', doc: '', required: true } as const;
    const offering = (name: string, its: CustomOpSpec) => {
      const backend = new TestBackend(name, [range], (batch) => batch.map(() => []));
      return Object.assign(backend, {
        ops: backend.ops.map((op) => ({ ...op, name: range.name, spec: its })),
      });
    };
    const runtime = await Runtime.start({
      plugins: [],
      backends: [
        offering('first', spec),
        offering('second', { ...spec, args: [arg] }),
        offering('alike', { ...spec, doc: 'In other words.' }),
      ],
      models: [],
      limits: defaultLimits,
    });
    const own = new LocalClient(new Session(runtime, 'local', 1, defaultLimits), () =>
      runtime.close(),
    );
    expect(await own.ops()).toMatchObject([{ args: [], devices: ['first:0', 'alike:0'] }]);
    const { devices, unavailable } = await own.devices();
    expect(devices.find(({ id }) => id === 'second:0')?.ops).toEqual([]);
    expect(unavailable).toEqual([
      {
        backend: 'second',
        reason: expect.stringMatching(/test.axle\/same@1 .* 'first'/) as string,
      },
    ]);
    await expect(
      own.run('test.axle/same', {}, { device: 'second', strict: true }),
    ).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await own.run('test.axle/same', {})).toMatchObject({ device: 'first:0' });
    await own.close();
  });

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

  it('take memory that may be resized: large as it was, small unless it is resized too soon', async () => {
    const args = { label: 'x' };
    const resized = (bytes: number) => {
      const memory = resizable(bytes);
      const call = client.run(
        'test.axle/echo',
        { any: new Uint8Array(memory, 0, bytes) },
        { args },
      );
      memory.resize(0);
      return call;
    };
    expect((await resized(1024)).outputs['any']?.byteLength).toBe(1024);
    await expect(resized(1023)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const small = new Uint8Array(resizable(8), 0, 8);
    const { outputs } = await client.run('test.axle/echo', { any: small }, { args });
    expect(outputs['any']?.data).toEqual(small);
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
      'null for arguments',
      'test.axle/describe',
      {},
      null as never,
      'INVALID_ARGUMENT',
      /args is null; give an object of arguments by name/,
    ],
    ['an array for arguments', 'test.axle/describe', {}, [], 'INVALID_ARGUMENT', /args is \[\]/],
    [
      'memory that was transferred away',
      'test.axle/echo',
      { any: transferred() },
      { label: '' },
      'INVALID_ARGUMENT',
      /memory of the input 'any' of op 'test.axle\/echo' was transferred elsewhere; give it before/,
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

describe('a plugin that does not load', () => {
  it('is named with the reason where one of its ops is asked for', async () => {
    const plugins = [{ name: 'gone', path: '/no/such/plugin.so' }];
    await using other = await connectLocal({ plugins });
    for (const call of [() => other.run('gone.axle/op', {}), () => other.explain('gone.axle/op')]) {
      await expect(call()).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: expect.stringMatching(
          /there are: none\. Not available here: gone \(.*\/no\/such\/plugin\.so.*\)$/,
        ) as string,
      });
    }
  });
});

describe('outputs of custom ops', () => {
  const tensor = (dtype: 'UINT8' | 'INT8', ...shape: number[]) =>
    Tensor.fromBytes(dtype, new Uint8Array(shape.reduce((all, size) => all * size, 1)), shape);
  const sum: NamedTensor = { name: '', tensor: tensor('UINT8', 5) };
  const rest: NamedTensor = { name: 'rest', tensor: tensor('INT8', 2, 3) };

  /** What a call gives whose device gives `outputs`. */
  async function run(outputs: readonly NamedTensor[]) {
    const range = customOp('test.axle/two', 1);
    const backend = new TestBackend('soft', [range], () => [[...outputs]]);
    const spec = {
      doc: '',
      args: [],
      inputs: [],
      outputs: [
        { name: 'sum', dtype: 'UINT8', shape: [-1] },
        { name: 'rest', dtype: 'INT8', shape: [2, -1] },
      ],
    } as const;
    Object.assign(backend, { ops: [{ ...range, flags: 0, batchMax: 0, spec }] });
    const runtime = await Runtime.start({ plugins: [], models: [], limits: defaultLimits });
    runtime.registry.add(backend);
    const session = new Session(runtime, 'local', 1, defaultLimits);
    await using own = new LocalClient(session, () => runtime.close());
    return await own.run('test.axle/two', {});
  }

  it('have the names that the op declares', async () => {
    const { outputs } = await run([sum, rest]);
    expect(Object.keys(outputs)).toEqual(['sum', 'rest']);
  });

  it.each<[string, readonly NamedTensor[], string]>([
    ['is missing', [sum], "gave no output 'rest'"],
    ['is missing before another', [{ ...rest, position: 1 }], "gave no output 'sum'"],
    ['is missing among them', [sum, { ...rest, position: 7 }], "gave no output 'rest'"],
    ['is one too many', [sum, rest, sum], 'gave an output 2, and its description has 2'],
    [
      'has another type',
      [{ name: 'sum', tensor: tensor('INT8', 5) }, rest],
      "gave INT8 [5] for its output 'sum' UINT8 [any]",
    ],
    [
      'has another shape',
      [sum, { name: '', tensor: tensor('INT8', 3, 2) }],
      "gave INT8 [3, 2] for its output 'rest' INT8 [2, any]",
    ],
    [
      'has another name',
      [{ ...sum, name: 'rest' }, rest],
      "gave 'rest' UINT8 [5] for its output 'sum' UINT8 [any]",
    ],
  ])('are refused when one %s', async (_, outputs, what) => {
    await expect(run(outputs)).rejects.toMatchObject({
      code: 'INTERNAL',
      message: `op 'test.axle/two' ${what} on soft:0; report it to its author`,
    });
  });

  it('of a plugin tell when one before them was left out', async () => {
    const backend = await NativeHost.shared().open({ name: 'test', path, options: {} });
    const [device] = backend.devices;
    const range = backend.ops.find(({ name }) => name === 'test.axle/misbehave');
    if (device === undefined || range === undefined) throw new Error('the test plugin is another');
    const outcome = await new Promise<TaskOutcome>((settle) => {
      const args = { fault: 'gap' };
      const task = { range, args, model: undefined, inputs: [], outputBytesMax: 1000 };
      const traits = { deadlineAt: undefined, priority: 0, tenant: 'a' };
      backend.submit(device, [{ ...task, ...traits, settle }]);
    });
    expect(outcome).toMatchObject({ ok: true, outputs: [{ name: '', position: 1 }] });
    await backend.close();
  });
});
