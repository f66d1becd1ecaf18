import { join } from 'node:path';

import { connect, KeptTensor, Tensor, type Client, type ConnectOptions } from 'axle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { builtPlugin } from './plugins.js';
import { Relay } from './relay.js';
import { bytesOf, folder, serveUnix } from './serve.js';

const echo = 'echo.axle/echo';
const MiB = 2 ** 20;
const { path } = builtPlugin('echo');

let endpoint = '';
let relay: Relay;

beforeAll(async () => {
  ({ endpoint } = await serveUnix('kept.sock', '--plugin', `echo=${path}`));
  relay = await Relay.at(join(folder, 'kept-relay.sock'), join(folder, 'kept.sock'));
});

afterAll(() => relay.close());

/** Each is what `connect` gives on one way. */
const ways: readonly (readonly [string, (options?: ConnectOptions) => Promise<Client>])[] = [
  ['in process', (options) => connect({ ...options, plugins: [{ name: 'echo', path }] })],
  ['through a server', (options) => connect(endpoint, options)],
];

function tensorOf(bytes: Uint8Array): Tensor<'UINT8'> {
  return Tensor.from('UINT8', bytes, [bytes.length]);
}

describe.each(ways)('tensors that are kept, %s', (_, open) => {
  it('are what they were made of, for any number of calls', async () => {
    await using axle = await open();
    const image = Tensor.from('FP32', new Float32Array(1024).fill(0.5), [1, 1, 32, 32]);
    const kept = await axle.put(image);
    expect(kept).toMatchObject({ dtype: 'FP32', shape: [1, 1, 32, 32], byteLength: 4096 });
    const plain = await axle.infer('mlp', { image });
    for (let i = 0; i < 3; i++) {
      const { outputs } = await axle.infer('mlp', { image: kept });
      expect(outputs['scores']?.data).toEqual(plain.outputs['scores']?.data);
    }
  });

  it('are copies: what the caller does with the memory is its own business', async () => {
    await using axle = await open();
    const bytes = bytesOf(100);
    const kept = await axle.put(tensorOf(bytes));
    bytes.fill(0);
    const { outputs } = await axle.run(echo, { bytes: kept });
    expect(Buffer.compare(outputs['bytes']?.bytes ?? bytes, bytesOf(100))).toBe(0);
  });

  it('are outputs too, which the next calls take', async () => {
    await using axle = await open();
    const bytes = bytesOf(100_000);
    const first = await axle.run(echo, { bytes: tensorOf(bytes) }, { keep: true });
    const middle = first.outputs['bytes'];
    expect(middle).toBeInstanceOf(KeptTensor);
    expect(middle).toMatchObject({ dtype: 'UINT8', shape: [100_000] });
    const second = await axle.run(echo, { bytes: middle as KeptTensor }, { keep: true });
    const last = await axle.run(echo, { bytes: second.outputs['bytes'] as KeptTensor });
    expect(Buffer.compare(last.outputs['bytes']?.bytes ?? bytes.subarray(1), bytes)).toBe(0);
    const image = new Float32Array(1024);
    const { outputs } = await axle.infer('mlp', { image }, { keep: true });
    expect(outputs['scores']).toMatchObject({ dtype: 'FP32', shape: [1, 34], isReleased: false });
    const many = await axle.infer('mlp', [{ image }, { image }], { keep: true });
    expect(many.map((result) => result.outputs['scores']?.byteLength)).toEqual([136, 136]);
  });

  it('are gone when they were released, and calls that were made before still have them', async () => {
    await using axle = await open();
    const kept = await axle.put(tensorOf(bytesOf(50_000)));
    const before = axle.run(echo, { bytes: kept });
    kept.release();
    kept.release();
    expect(kept.isReleased).toBe(true);
    expect((await before).outputs['bytes']?.byteLength).toBe(50_000);
    const after = axle.run(echo, { bytes: kept });
    await expect(after).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('end with their client, and are no other one’s', async () => {
    const axle = await open();
    await using other = await open();
    const kept = await axle.put(tensorOf(bytesOf(10)));
    const stolen = other.run(echo, { bytes: kept });
    await expect(stolen).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('another client') as string,
    });
    await axle.close();
    expect(kept.isReleased).toBe(true);
    await expect(axle.put(tensorOf(bytesOf(10)))).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
  });

  it('are so many, and so large, as the limits say', async () => {
    await using axle = await open({ limits: { keptTensorsMax: 2, keptBytesMax: 1000 } });
    const full = { code: 'RESOURCE_EXHAUSTED', retryable: false };
    const first = await axle.put(tensorOf(bytesOf(600)));
    await expect(axle.put(tensorOf(bytesOf(401)))).rejects.toMatchObject(full);
    const calls = axle.run(echo, { bytes: bytesOf(401) }, { keep: true });
    await expect(calls).rejects.toMatchObject(full);
    await axle.put(tensorOf(bytesOf(400)));
    await expect(axle.put(tensorOf(bytesOf(0)))).rejects.toMatchObject(full);
    first.release();
    expect((await axle.put(tensorOf(bytesOf(600)))).byteLength).toBe(600);
  });

  it('take memory only as long as they are kept', async () => {
    await using axle = await open();
    const tensor = tensorOf(new Uint8Array(32 * MiB));
    // More than either side keeps at a time.
    for (let i = 0; i < 40; i++) {
      using kept = await axle.put(tensor);
      expect(kept.byteLength).toBe(32 * MiB);
    }
    for (let i = 0; i < 40; i++) {
      const { outputs } = await axle.run(echo, { bytes: tensor }, { keep: true });
      outputs['bytes']?.release();
    }
  });

  it('take none when there are too many of them already', async () => {
    await using axle = await open({ limits: { keptBytesMax: MiB } });
    const tensor = tensorOf(new Uint8Array(32 * MiB));
    // More than the server keeps for a connection.
    for (let i = 0; i < 40; i++) {
      const call = axle.run(echo, { bytes: tensor }, { keep: true });
      await expect(call).rejects.toThrow(/^33554432 bytes more than the 0 kept are past the limit/);
    }
    expect((await axle.put(tensorOf(bytesOf(600)))).byteLength).toBe(600);
  });

  it('are not made of what is none, nor for calls that were given up', async () => {
    await using axle = await open();
    const wrong = { code: 'INVALID_ARGUMENT' };
    await expect(axle.put(bytesOf(10) as unknown as Tensor)).rejects.toMatchObject(wrong);
    const both = { keep: true, into: new Uint8Array(10) } as unknown as { keep: true };
    await expect(axle.run(echo, { bytes: bytesOf(10) }, both)).rejects.toMatchObject(wrong);
    const stopped = { signal: AbortSignal.abort() };
    await expect(axle.put(tensorOf(bytesOf(10)), stopped)).rejects.toMatchObject({
      name: 'AbortError',
    });
    const kept = await axle.put(tensorOf(bytesOf(1024)));
    const shape = axle.infer('mlp', { image: kept });
    await expect(shape).rejects.toMatchObject(wrong);
    expect(() => Reflect.construct(KeptTensor, []) as unknown).toThrow(/not made with new/);
  });
});

describe('tensors that a server keeps', () => {
  it('do not travel again', async () => {
    await using axle = await connect(relay.endpoint);
    const bytes = bytesOf(MiB);
    const kept = await axle.put(tensorOf(bytes));
    const { up, down } = relay.passed;
    expect(up).toBeGreaterThan(MiB);
    let last = kept;
    for (let i = 0; i < 5; i++) {
      const { outputs } = await axle.run(echo, { bytes: last }, { keep: true });
      last = outputs['bytes'] as KeptTensor<'UINT8'>;
    }
    expect(relay.passed.up - up).toBeLessThan(2000);
    expect(relay.passed.down - down).toBeLessThan(2000);
    const { outputs } = await axle.run(echo, { bytes: last });
    expect(Buffer.compare(outputs['bytes']?.bytes ?? bytes.subarray(1), bytes)).toBe(0);
  });

  it('are lost with their connection, and said to be', async () => {
    await using axle = await connect(relay.endpoint);
    const kept = await axle.put(tensorOf(bytesOf(100)));
    relay.cut();
    const lost = axle.run(echo, { bytes: kept });
    await expect(lost).rejects.toMatchObject({
      code: 'ABORTED',
      message: expect.stringContaining('again') as string,
    });
    const again = await axle.put(tensorOf(bytesOf(100)));
    expect((await axle.run(echo, { bytes: again })).outputs['bytes']?.byteLength).toBe(100);
    kept.release();
  });
});
