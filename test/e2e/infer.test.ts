import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import {
  shippedModels,
  Tensor,
  type Client,
  type DataTypeName,
  type InferResult,
  type TensorData,
} from 'axle';
import ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { addModel, onnxModel } from '../onnx-model.mjs';
import { ways, type Way } from './ways.js';

let way: Way;
let client: Client;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'axle-infer-'));
});
afterAll(() => rm(folder, { recursive: true }));

function useWay(open: () => Promise<Way>): void {
  beforeAll(async () => {
    way = await open();
    client = await way.connect();
  });
  afterAll(() => client.close());
}

async function save(name: string, model: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, model);
  return path;
}

async function saveRepositoryModel(name: string, config: string): Promise<string> {
  const model = join(folder, name);
  await mkdir(join(model, '1'), { recursive: true });
  await writeFile(join(model, 'config.pbtxt'), config);
  await writeFile(join(model, '1/model.onnx'), addModel([2], { data: Float32Array.of(10, 20) }));
  return model;
}

function largestBatch(results: readonly InferResult[]): number {
  return Math.max(...results.flatMap(({ steps }) => steps.map(({ batchSize }) => batchSize)));
}

/** onnx.TensorProto.DataType by our name, and some elements of each. */
const types: readonly (readonly [DataTypeName, number, TensorData])[] = [
  ['FP32', 1, Float32Array.of(-1.5, 0, 3e38)],
  ['UINT8', 2, Uint8Array.of(0, 1, 255)],
  ['INT8', 3, Int8Array.of(-128, 0, 127)],
  ['UINT16', 4, Uint16Array.of(0, 1, 65535)],
  ['INT16', 5, Int16Array.of(-32768, 0, 32767)],
  ['INT32', 6, Int32Array.of(-(2 ** 31), 0, 2 ** 31 - 1)],
  ['INT64', 7, BigInt64Array.of(-(2n ** 63n), 0n, 2n ** 63n - 1n)],
  ['BYTES', 8, ['', 'a', 'längere Zeichenkette 🚀']],
  ['BOOL', 9, Uint8Array.of(0, 1, 1)],
  ['FP16', 10, Uint16Array.of(0x3c00, 0xfbff, 0x0001)],
  ['FP64', 11, Float64Array.of(-1.5, 0, 1e300)],
  ['UINT32', 12, Uint32Array.of(0, 1, 2 ** 32 - 1)],
  ['UINT64', 13, BigUint64Array.of(0n, 1n, 2n ** 64n - 1n)],
  ['BF16', 16, Uint16Array.of(0x3f80, 0xff7f, 0x0001)],
];

describe.each(ways)('infer %s', (_way, open) => {
  useWay(open);

  it.each(types)('carries %s unchanged', async (dtype, elementType, data) => {
    const value = { shape: ['n'], elementType };
    const path = await save(
      `${dtype}.onnx`,
      onnxModel({
        inputs: [{ name: 'x', ...value }],
        outputs: [{ name: 'y', ...value }],
        nodes: [['Identity', ['x'], ['y']]],
      }),
    );
    const { outputs, device } = await client.infer(path, { x: data as Float32Array });
    expect(device).toBe(`${way.prefix}cpu-fallback:0`);
    expect(outputs['y']?.dtype).toBe(dtype);
    expect(outputs['y']?.shape).toEqual([3]);
    expect(outputs['y']?.data).toEqual(data);
  });

  it('gives what ONNX Runtime gives, in batches of any size', async () => {
    const session = await ort.InferenceSession.create(
      join(shippedModels, 'mlp', '1', 'model.onnx'),
    );
    for (const rows of [1, 2, 7, 64, 100]) {
      const shape = [rows, 1, 32, 32];
      const data = Float32Array.from({ length: rows * 1024 }, (_, i) => Math.sin(i));
      const expected = await session.run({ image: new ort.Tensor('float32', data, shape) });
      const { outputs } = await client.infer('mlp', { image: Tensor.from('FP32', data, shape) });
      expect(outputs['scores']?.shape).toEqual([rows, 34]);
      const scores = outputs['scores']?.data as Float32Array;
      const wanted = expected['scores']?.data as Float32Array;
      scores.forEach((score, i) => {
        expect(score).toBeCloseTo(wanted[i] ?? NaN, 5);
      });
    }
  });

  it('puts calls made together into batches where the config says so', async () => {
    const model = await saveRepositoryModel(
      'batched',
      'max_batch_size: 100000 dynamic_batching { }',
    );
    const inputs = Array.from({ length: 3000 }, (_, i) => ({ x: Float32Array.of(i, -i) }));
    const results = await Promise.all(inputs.map((input) => client.infer(model, input)));
    results.forEach(({ outputs }, i) => {
      expect([...(outputs['y']?.data as Float32Array)]).toEqual([i + 10, 20 - i]);
    });
    expect(largestBatch(results)).toBeGreaterThan(1);
  });

  it('runs each call alone where no config says that rows are independent', async () => {
    const path = await save('alone.onnx', addModel([2], { data: Float32Array.of(10, 20) }));
    const inputs = Array.from({ length: 50 }, (_, i) => ({ x: Float32Array.of(i, -i) }));
    expect(largestBatch(await client.infer(path, inputs))).toBe(1);
  });

  it('reads weights from files of the model folder', async () => {
    const path = await save('external.onnx', addModel([2], { location: 'weights.bin' }));
    await writeFile(join(folder, 'weights.bin'), new Uint8Array(Float32Array.of(5, 6).buffer));
    const { outputs } = await client.infer(path, { x: Float32Array.of(1, 1) });
    expect([...(outputs['y']?.data as Float32Array)]).toEqual([6, 7]);
  });

  it('takes any shape where the model does not say which', async () => {
    const path = await save(
      'any-rank.onnx',
      onnxModel({
        inputs: [{ name: 'x' }],
        outputs: [{ name: 'y' }],
        nodes: [['Identity', ['x'], ['y']]],
      }),
    );
    const tensor = Tensor.from('FP32', new Float32Array(6), [1, 2, 3]);
    expect((await client.infer(path, { x: tensor })).outputs['y']?.shape).toEqual([1, 2, 3]);
    const bare = await client.infer(path, { x: new Float32Array(6) });
    expect(bare.outputs['y']?.shape).toEqual([6]);
  });
});

describe('infer', () => {
  it('works in several worker threads at once', async () => {
    const path = await save('worker.onnx', addModel([2], { data: Float32Array.of(1, 2) }));
    const workers = Array.from(
      { length: 3 },
      () => new Worker(new URL('infer-worker.mjs', import.meta.url), { workerData: path }),
    );
    const sums = await Promise.all(
      workers.map(
        (worker) =>
          new Promise((resolve, reject) => {
            worker.once('message', resolve);
            worker.once('error', reject);
          }),
      ),
    );
    expect(sums).toEqual([300, 300, 300]);
  });
});

describe.each(ways)('infer with bad input %s', (_way, open) => {
  useWay(open);

  it.each<[string, Record<string, Tensor | Float32Array>, RegExp]>([
    ['a wrong name', { z: Float32Array.of(1, 2) }, /no input 'z'; it takes 'x' FP32 \[any, 2\]/],
    [
      'a wrong name in a Tensor',
      { z: Tensor.from('FP32', Float32Array.of(1, 2), [1, 2]) },
      /no input 'z'; it takes 'x' FP32 \[any, 2\]/,
    ],
    ['nothing', {}, /input 'x'.*is missing; it takes FP32 \[any, 2\]/],
    [
      'a wrong type',
      { x: Tensor.from('INT32', Int32Array.of(1, 2), [1, 2]) },
      /'x'.*takes FP32 \[any, 2\], not INT32 \[1, 2\]/s,
    ],
    [
      'a wrong shape',
      { x: Tensor.from('FP32', Float32Array.of(1, 2, 3), [1, 3]) },
      /'x'.*\[any, 2\].*\[1, 3\]/s,
    ],
    [
      'a wrong rank',
      { x: Tensor.from('FP32', Float32Array.of(1, 2), [2]) },
      /'x'.*\[any, 2\].*\[2\]/s,
    ],
    [
      'too many elements',
      { x: Float32Array.of(1, 2, 3) },
      /'x'.*FP32 \[any, 2\]; 3 elements do not fill it/s,
    ],
    [
      'another array',
      { x: new Float64Array(1) as unknown as Float32Array },
      /input 'x'.*Float32Array, got Float64Array/s,
    ],
  ])('refuses %s, saying what was expected and what came', async (_, inputs, message) => {
    const path = await save('bad.onnx', addModel([2], { data: Float32Array.of(10, 20) }));
    const error = await client.infer(path, inputs).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((error as Error).message).toMatch(message);
  });

  it.each<[string, Uint8Array, string]>([
    ['bytes that are no model', Buffer.from('not a model'), 'INVALID_ARGUMENT'],
    [
      'half a model',
      addModel([2], { data: new Float32Array(2) }).subarray(0, 60),
      'INVALID_ARGUMENT',
    ],
    ['an operator that does not exist', unknownOperator(), 'INVALID_ARGUMENT'],
    [
      'weights outside the folder',
      addModel([2], { location: '../../etc/passwd' }),
      'INVALID_ARGUMENT',
    ],
    ['weights that are not there', addModel([2], { location: 'missing.bin' }), 'NOT_FOUND'],
  ])('refuses %s', async (name, model, code) => {
    const path = await save(`${name.replaceAll(' ', '-')}.onnx`, model);
    await expect(client.infer(path, { x: Float32Array.of(1, 2) })).rejects.toMatchObject({ code });
  });

  it('gives the good calls of a batch their results when others are bad', async () => {
    const path = await save('mixed.onnx', addModel([2], { data: Float32Array.of(10, 20) }));
    const calls = Array.from({ length: 90 }, (_, i) =>
      client.infer(path, {
        x: Tensor.from('FP32', new Float32Array(i % 3 === 0 ? 3 : 2), [1, i % 3 === 0 ? 3 : 2]),
      }),
    );
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status)).toEqual(
      calls.map((_, i) => (i % 3 === 0 ? 'rejected' : 'fulfilled')),
    );
  });
});

function unknownOperator(): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'x', shape: ['n', 2] }],
    outputs: [{ name: 'y', shape: ['n', 2] }],
    nodes: [['NoSuchOperator', ['x'], ['y']]],
  });
}
