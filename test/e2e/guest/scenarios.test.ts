import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

import { connect, Tensor, type Client } from 'axle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ROOT } from '../../../scripts/repository.mjs';
import { build, conformanceSources, machines } from '../../guest/machines.mjs';
import { runProgram } from '../../guest/run-program.js';
import { bytesOf, serveUnix } from '../serve.js';

// What every client does against the same server: one list, from which the C client and the TypeScript client are driven.
const list = JSON.parse(
  readFileSync(join(ROOT, 'unikernel-glue/conformance/scenarios.json'), 'utf8'),
) as Readonly<Record<string, string>>;
const names = Object.keys(list);

let axle: Client;
let place = '';

beforeAll(async () => {
  const { endpoint } = await serveUnix('scenarios.sock');
  place = endpoint.replace('axle+', '');
  axle = await connect(endpoint);
});

afterAll(() => axle.close());

async function comesBack(length: number): Promise<void> {
  const input = bytesOf(length);
  const { data } = await axle.compress(input, { level: 1 });
  const back = await axle.decompress(data, { codec: 'zstd' });
  expect(Buffer.compare(back.data, input)).toBe(0);
}

const scenarios: Readonly<Record<string, () => Promise<void>>> = {
  async greeting() {
    await using another = await connect(`axle+${place}`);
    expect((await another.devices()).devices.length).toBeGreaterThan(0);
  },
  async describe() {
    const { devices } = await axle.devices();
    expect(devices.map(({ id }) => id).join()).toContain('cpu-fallback');
    expect((await axle.models()).map(({ name }) => name)).toContain('mlp');
  },
  async watching() {
    const [first, second] = [await axle.devices(), await axle.devices()];
    expect(second.devices.map(({ id }) => id)).toEqual(first.devices.map(({ id }) => id));
  },
  empty: () => comesBack(0),
  odd: () => comesBack(1001),
  'inline-edge': () => comesBack(4096),
  'past-inline': () => comesBack(4097),
  'frame-edge': () => comesBack(65_536),
  large: () => comesBack(3_000_000),
  async streams() {
    const input = bytesOf(1_000_000);
    const sink = new PassThrough();
    const read = buffer(sink);
    await pipeline([input], axle.compressStream({ level: 1 }), axle.decompressStream(), sink);
    expect(Buffer.compare(await read, input)).toBe(0);
  },
  async 'in-flight'() {
    await Promise.all(Array.from({ length: 16 }, (_, i) => comesBack(512 - i)));
  },
  async arguments() {
    const codecs = ['zstd', 'lz4', 'gzip'] as const;
    const calls = codecs.map((codec) => axle.compress(bytesOf(100), { codec }));
    const heads = (await Promise.all(calls)).map(({ data }) => Buffer.from(data).readUInt16LE(0));
    expect(heads).toEqual([0xb528, 0x2204, 0x8b1f]);
  },
  async 'small-beside-large'() {
    const stop = new AbortController();
    const how = { level: 19, signal: stop.signal };
    let isOver = false;
    const upload = axle.compress(bytesOf(64 * 2 ** 20), how).finally(() => {
      isOver = true;
    });
    const ended = expect(upload).rejects.toMatchObject({ name: 'AbortError' });
    for (let i = 0; i < 8; i++) await comesBack(100);
    expect(isOver).toBe(false);
    stop.abort();
    await ended;
    await comesBack(100);
  },
  async 'kept-tensor'() {
    const image = Tensor.from('FP32', new Float32Array(1024).fill(0.5), [1, 1, 32, 32]);
    const kept = await axle.put(image);
    const { outputs } = await axle.infer('mlp', { image: kept });
    expect(outputs['scores']).toMatchObject({ dtype: 'FP32', shape: [1, 34] });
    kept.release();
    const late = axle.infer('mlp', { image: kept });
    await expect(late).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  },
  async cancelled() {
    const stop = new AbortController();
    const call = axle.compress(bytesOf(30_000_000), { level: 19, signal: stop.signal });
    stop.abort();
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
    await comesBack(100);
  },
  async failures() {
    await expect(axle.run('no.such/op', {})).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const absent = axle.infer('no-such-model', { x: new Float32Array(1) });
    await expect(absent).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const damaged = axle.decompress(Buffer.from('not compressed'), { codec: 'zstd' });
    await expect(damaged).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await comesBack(100);
  },
  async 'too-long'() {
    const { data } = await axle.compress(bytesOf(200_000));
    const refused = axle.decompress(data, { outputBytesMax: 1000 });
    await expect(refused).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await comesBack(100);
  },
  async deadline() {
    const late = axle.compress(bytesOf(3_000_000), { level: 19, deadlineMs: 1 });
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await comesBack(100);
  },
  async infer() {
    const image = Tensor.from('FP32', new Float32Array(1024).fill(0.5), [1, 1, 32, 32]);
    const { outputs } = await axle.infer('mlp', { image });
    expect(outputs['scores']).toMatchObject({ dtype: 'FP32', shape: [1, 34] });
  },
  async 'model-file'() {
    await axle.prefetch('mlp');
    expect((await axle.model('mlp')).labels).toBeGreaterThanOrEqual(34);
  },
  async misuse() {
    const wrong = axle.compress(bytesOf(10), { level: 99 });
    await expect(wrong).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await comesBack(10);
  },
};

describe('the scenarios of all clients', () => {
  it('are what the TypeScript client is driven through', () => {
    expect(Object.keys(scenarios).sort()).toEqual([...names].sort());
  });

  it.each(Object.entries(scenarios))('%s, in TypeScript', async (_, run) => {
    await run();
  });

  it('are what the C client runs, each of them, and passes', async () => {
    const program = build(machines[0], 'conformance', conformanceSources);
    const { output } = await runProgram([...program, place]);
    const passed = Array.from(output.matchAll(/^ok (\S+)$/gm), ([, name]) => name);
    expect(passed).toEqual(names);
    expect(output).toContain(`PASS ${names.length} passed, 0 failed\n`);
  });
});
