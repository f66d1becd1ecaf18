import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { connectKserve, type TensorForms } from '@axle/remoting';
import { Tensor } from 'axle';
import { beforeAll, describe, expect, it } from 'vitest';

import { axlePath, folder, serveUnix } from './serve.js';

const doors = {
  wire: `axle+unix:${join(folder, 'perf.sock')}`,
  grpc: `grpc+unix:${join(folder, 'grpc.sock')}`,
  http: `http+unix:${join(folder, 'http.sock')}`,
};
const binary: TensorForms = { input: 'binary', output: 'binary' };
const readme = fileURLToPath(new URL('../../README.md', import.meta.url));

beforeAll(async () => {
  const places = ['grpc', 'http'].flatMap((kind) => [
    `--${kind}`,
    `unix:${join(folder, `${kind}.sock`)}`,
  ]);
  await serveUnix('perf.sock', ...places);
});

interface LevelReport {
  readonly requests: number;
  readonly failed: number;
  readonly failures: readonly object[];
  readonly durationMs: number;
  readonly requestsPerSecond: number;
  readonly latencyMs: Readonly<Record<string, number>>;
  readonly interrupted: boolean;
}

function start(...args: readonly string[]) {
  const child = spawn(process.execPath, [axlePath, 'perf', ...args, '--json'], { stdio: 'pipe' });
  return { child, ended: endOf(child) };
}

async function endOf(child: ReturnType<typeof spawn>) {
  const streams = [child.stdout, child.stderr].map((stream) => (stream ? text(stream) : ''));
  const [[code], stdout = '', stderr = ''] = await Promise.all([
    once(child, 'close') as Promise<[number | null]>,
    ...streams,
  ]);
  const levels = stdout === '' ? [] : (JSON.parse(stdout) as { levels: LevelReport[] }).levels;
  return { code, levels, stderr };
}

describe('axle perf', () => {
  it.concurrent.each([
    ['in process', []],
    ['over the wire', ['--on', doors.wire]],
    ['over gRPC', ['--door', doors.grpc]],
    ['over REST', ['--door', doors.http]],
  ])('measures %s', async (name, way) => {
    const csv = join(folder, `${name}.csv`);
    const counted = ['--request-count', '12', '--warmup-request-count', '3'];
    const levels = ['--concurrency-range', '1:4:3', '-b', '2', '-f', csv];
    const { code, levels: measured } = await start('mlp', ...counted, ...levels, ...way).ended;
    expect(code).toBe(0);
    expect(measured).toHaveLength(2);
    for (const [index, level] of measured.entries()) {
      expect(level).toMatchObject({
        concurrency: [1, 4][index],
        requests: 12,
        failed: 0,
        interrupted: false,
      });
      expect(level.requestsPerSecond).toBeCloseTo((12 * 1000) / level.durationMs, 5);
      const { min = NaN, p50 = NaN, p99 = NaN, max = NaN } = level.latencyMs;
      expect([min, p50, p99, max]).toEqual([min, p50, p99, max].sort((a, b) => a - b));
      expect(min).toBeGreaterThan(0);
    }
    const [header = '', ...lines] = readFileSync(csv, 'utf8').trim().split('\n');
    expect(header).toMatch(
      /^Concurrency,Inferences\/Second,Server Queue,Server Compute Input,Server Compute Infer,p50 latency,p90 latency,p95 latency,p99 latency,/,
    );
    const cells = lines.map((line) => line.split(',').map(Number));
    expect(cells.map(([concurrency]) => concurrency)).toEqual([1, 4]);
    for (const [index, [, perSecond = NaN, , , computeUs = NaN, p50 = NaN]] of cells.entries()) {
      expect(perSecond).toBeCloseTo(2 * (measured[index]?.requestsPerSecond ?? NaN), 2);
      expect(p50).toBeCloseTo(1000 * (measured[index]?.latencyMs['p50'] ?? NaN), -1);
      // Others ask the same model at the same time, whose sums the server does not tell apart.
      expect(computeUs).toBeGreaterThan(0);
    }
  });

  it('makes requests at a rate, each counted from when it was due, until it is interrupted', async () => {
    const client = await connectKserve(doors.http, binary);
    const count = async () => (await client.statistics('glyphs', ''))?.inferenceCount ?? NaN;
    const outstandingMax = 8;
    const rate = ['--request-rate-range', '500', '--request-distribution', 'poisson'];
    const bounds = [
      '--max-outstanding',
      String(outstandingMax),
      '--measurement-interval',
      '600000',
    ];
    const { child, ended } = start('glyphs', '--door', doors.grpc, ...rate, ...bounds);
    // All but so many have been seen to be answered.
    while ((await count()) < 2 * outstandingMax);
    child.kill('SIGINT');
    const { code, levels } = await ended;
    expect(code).toBe(130);
    const [level] = levels;
    expect(level).toMatchObject({ requestRate: 500, interrupted: true, failed: 0 });
    expect(level?.requests).toBeGreaterThanOrEqual(outstandingMax);
    expect(level?.requests).toBeLessThanOrEqual(await count());
    client.close();
  });

  it.concurrent.each([
    [
      'nothing was answered',
      ['decompress', '--file', readme, '--request-count', '4'],
      {
        requests: 0,
        failed: 4,
        failures: [expect.objectContaining({ code: 'INVALID_ARGUMENT', count: 4 })],
      },
      /4 failed with INVALID_ARGUMENT: /,
    ],
    [
      'no load kept the threshold',
      ['compress', '--file', readme, '--request-count', '4', '-l', '0.0001'],
      { requests: 4, withinThreshold: false },
      /^$/,
    ],
  ] as const)('fails where %s', async (_why, args, level, said) => {
    const { code, levels, stderr } = await start(...args).ended;
    expect(code).toBe(1);
    expect(levels).toMatchObject([level]);
    expect(stderr).toMatch(said);
  });
});

describe('a client of doors', () => {
  it.each([doors.grpc, doors.http])('passes on what the server says at %s', async (url) => {
    const client = await connectKserve(url, binary);
    await expect(client.model('nosuch', '')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(client.model('mlp', '7')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const model = await client.model('mlp', '1');
    expect(model).toMatchObject({
      maxBatchSize: expect.any(Number) as number,
      inputs: [{ name: 'image', dtype: 'FP32', shape: [-1, 1, 32, 32] }],
    });
    const wrong = client.prepare({
      model: 'mlp',
      version: '',
      inputs: { image: Tensor.from('FP32', new Float32Array(4), [1, 1, 2, 2]) },
    });
    await expect(wrong()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: /image/ });
    client.close();
  });

  it.each([`grpc+unix:${folder}/none`, `http+unix:${folder}/none`])(
    'says that nobody answers at %s',
    async (url) => {
      const client = await connectKserve(url, binary);
      await expect(client.model('mlp', '')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      client.close();
    },
  );

  it('sends tensors in JSON where it is told to, and has none for what JSON has no numbers for', async () => {
    const client = await connectKserve(doors.http, { input: 'json', output: 'json' });
    const image = Tensor.from('FP32', new Float32Array(1024).fill(0.25), [1, 1, 32, 32]);
    const bytes = await client.prepare({ model: 'mlp', version: '', inputs: { image } })();
    const inBinary = await connectKserve(doors.http, binary);
    const fewer = await inBinary.prepare({ model: 'mlp', version: '', inputs: { image } })();
    expect(bytes).toBeGreaterThan(fewer);
    const inputs = { x: Tensor.from('BF16', Uint16Array.of(1), [1]) };
    expect(() => client.prepare({ model: 'm', version: '', inputs })).toThrow(/send it as binary/);
    client.close();
    inBinary.close();
  });
});
