import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';

import { connect, shippedModels } from 'axle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { builtPlugin } from '../plugins.js';
import { bytesOf, folder } from '../serve.js';
import { TrustedServer } from '../trusted-server.js';
import { GrpcClient, type Fields } from './grpc-door.js';

const service = 'axle.v1.Axle';
const echo = 'echo.axle/echo';
let server: TrustedServer;
let grpc: GrpcClient;

beforeAll(async () => {
  const place = join(folder, 'axle-v1');
  mkdirSync(place);
  server = await TrustedServer.start(
    place,
    {
      listen: [`unix:${join(place, 'wire')}`],
      grpc: [`unix:${join(place, 'grpc')}`],
      models: [shippedModels],
    },
    { plugins: [{ name: 'echo', ...builtPlugin('echo') }] },
  );
  grpc = new GrpcClient(server.doorEndpoints[0] ?? '');
});
afterAll(async () => {
  grpc.close();
  await server.close();
});

const sample = readFileSync(join(shippedModels, 'samples', 'A.png'));
const ask = (method: string, message: object = {}) => grpc.call(service, method, message);

describe('classify', () => {
  it('finds the labels of an image', async () => {
    const reply = await ask('Classify', { image: sample, top_k: 3 });
    const labels = reply['labels'] as { label: string; score: number }[];
    expect(labels.map(({ label }) => label)).toHaveLength(3);
    expect(labels[0]).toMatchObject({ label: 'A' });
    expect(reply['report']).toMatchObject({ device: 'cpu-fallback:0' });
  });

  it.each([
    [{ image: Buffer.from('no image') }, 'INVALID_ARGUMENT'],
    [{ image: sample, model: 'nothing' }, 'NOT_FOUND'],
    [{ image: sample, model: '../models/glyphs' }, 'NOT_FOUND'],
    [{ image: sample, model: join(shippedModels, 'glyphs') }, 'NOT_FOUND'],
    [{ image: sample, top_k: -1 }, 'INVALID_ARGUMENT'],
    [{ image: sample, options: { priority: 101 } }, 'INVALID_ARGUMENT'],
    [{ image: sample, options: { device: 'gpu', strict: true } }, 'UNAVAILABLE'],
  ])('refuses what is wrong: %#', async (message, code) => {
    await expect(ask('Classify', message)).rejects.toMatchObject({ code });
  });

  it('says how many labels there may be', async () => {
    const refusal = ask('Classify', { image: sample, top_k: -2 });
    await expect(refusal).rejects.toThrow(/top_k is -2; give a whole number from 1 to 1000/);
  });
});

it('infer runs a model, and says how', async () => {
  await ask('Prefetch', { model: 'mlp' });
  const image = { datatype: 'FP32', shape: [1, 1, 32, 32], data: Buffer.alloc(4096) };
  const reply = await ask('Infer', { model: 'mlp', version: 1, inputs: { image } });
  const { scores } = reply['outputs'] as Record<string, { shape: number[]; data: Buffer }>;
  expect(scores).toMatchObject({ datatype: 'FP32', shape: [1, 34] });
  expect(scores?.data).toHaveLength(34 * 4);
  const report = reply['report'] as Fields & { steps: Fields[] };
  const [step] = report.steps;
  expect(step).toMatchObject({ step: 'infer', batch_size: 1 });
  for (const sum of ['queue_ms', 'transfer_ms', 'compute_ms']) {
    expect(report[sum]).toBeCloseTo(Number(step?.[sum]));
  }
  expect(report['compute_ms']).toBeGreaterThan(0);
  expect(report['fallbacks']).toEqual([]);
  const short = { ...image, data: Buffer.alloc(4) };
  const refusal = ask('Infer', { model: 'mlp', inputs: { image: short } });
  await expect(refusal).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

describe('codecs', () => {
  const data = Buffer.from(bytesOf(300_000));

  it('make one stream of one message, and the message again', async () => {
    const { data: packed } = await ask('Compress', { data, codec: 'gzip', level: 1 });
    expect(gunzipSync(packed as Buffer).equals(data)).toBe(true);
    const { data: unpacked } = await ask('Decompress', { data: gzipSync(data) });
    expect(data.equals(unpacked as Buffer)).toBe(true);
  });

  it('refuse what is wrong', async () => {
    const wrong = ask('Compress', { data, codec: 'zip' });
    await expect(wrong).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const bomb = ask('Decompress', { data: gzipSync(data), output_bytes_max: 1000 });
    await expect(bomb).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    const negative = ask('Decompress', { data: gzipSync(data), output_bytes_max: -1 });
    await expect(negative).rejects.toThrow(/output_bytes_max is -1; give a whole number/);
    const [message] = [{ data: gzipSync(data), output_bytes_max: -1 }];
    await expect(grpc.stream(service, 'DecompressStream', [message])).rejects.toThrow(
      /output_bytes_max is -1/,
    );
  });

  it('work on streams of any length', async () => {
    const pieces = Array.from({ length: 100 }, () => data);
    const packed = await grpc.stream(service, 'CompressStream', [
      { codec: 'gzip', level: 1 },
      ...pieces.map((piece) => ({ data: piece })),
    ]);
    const joined = Buffer.concat(packed.map(({ data: piece }) => piece as Buffer));
    const whole = Buffer.concat(pieces);
    expect(gunzipSync(joined).equals(whole)).toBe(true);
    const unpacked = await grpc.stream(service, 'DecompressStream', [{ data: joined }]);
    const again = Buffer.concat(unpacked.map(({ data: piece }) => piece as Buffer));
    expect(again.equals(whole)).toBe(true);
  });

  it('end a stream with what is wrong', async () => {
    const stream = grpc.stream(service, 'DecompressStream', [{ data: Buffer.from('no archive') }]);
    await expect(stream).rejects.toMatchObject({ code: 3 });
    const codec = grpc.stream(service, 'CompressStream', [{ codec: 'zip' }]);
    await expect(codec).rejects.toMatchObject({ code: 3 });
  });
});

it('run runs a custom op', async () => {
  const bytes = { datatype: 'UINT8', shape: [4], data: Buffer.from('abcd') };
  const { outputs } = await ask('Run', { op: echo, inputs: { bytes } });
  expect(outputs).toMatchObject({ bytes });
  await expect(ask('Run', { op: 'a.example/b' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it('what there is is listed', async () => {
  const { models } = await ask('ListModels');
  expect(models).toContainEqual({ name: 'mlp', version: '1', problem: '' });
  const { devices } = await ask('ListDevices');
  expect((devices as Fields[]).map(({ id, health }) => [id, health])).toContainEqual([
    'cpu-fallback:0',
    'OK',
  ]);
  const { ops } = await ask('ListOps');
  expect((ops as Fields[]).map(({ name }) => name)).toContain(echo);
});

it.each([
  ['gpu', 'UNAVAILABLE'],
  ['nonesuch', 'NOT_FOUND'],
])(
  'a call that is to run on %s and nowhere else is refused as by the wire',
  async (device, code) => {
    const data = Buffer.from('data');
    const byGrpc = ask('Compress', { data, options: { device, strict: true } });
    await expect(byGrpc).rejects.toMatchObject({ code });
    const client = await connect(server.endpoint);
    const byWire = client.compress(data, { device, strict: true });
    await expect(byWire).rejects.toMatchObject({ code });
    await client.close();
  },
);
