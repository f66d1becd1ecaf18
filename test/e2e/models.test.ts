import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { connect } from 'axle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { addModel, onnxModel } from '../onnx-model.mjs';
import { ways, type Way } from './ways.js';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'axle-models-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** y = x + number. */
async function saveAdding(number: number): Promise<string> {
  const path = join(folder, `add-${number}.onnx`);
  await writeFile(path, addModel([1], { data: Float32Array.of(number) }));
  return path;
}

describe.each(ways)('models %s', (_way, open) => {
  let way: Way;

  beforeAll(async () => {
    way = await open();
  });

  it('are unloaded for others when there are more than a device may have, and loaded again', async () => {
    await using client = await way.connect({ limits: { deviceModelsMax: 2 } });
    const isLoaded = async (model: string) => {
      const { plans } = await client.explain('infer', { model });
      return plans[0]?.steps[0]?.loadMs === 0;
    };
    const paths = await Promise.all([1, 2, 3, 4].map(saveAdding));
    for (let round = 0; round < 3; round++) {
      for (const [i, path] of paths.entries()) {
        const { outputs } = await client.infer(path, { x: Float32Array.of(10) });
        expect([...(outputs['y']?.data as Float32Array)]).toEqual([11 + i]);
        expect(await isLoaded(path)).toBe(true);
      }
      // Which of the others stays, what they cost to load decides.
      const loaded = await Promise.all(paths.map(isLoaded));
      expect(loaded[3]).toBe(true);
      expect(loaded.filter(Boolean)).toHaveLength(2);
    }
  });

  it('are read again when more are open than a session may have', async () => {
    await using client = await way.connect({ limits: { openedModelsMax: 1 } });
    const path = join(folder, 'rewritten.onnx');
    const run = async () => {
      const { outputs } = await client.infer(path, { x: Float32Array.of(10) });
      return [...(outputs['y']?.data as Float32Array)];
    };
    await writeFile(path, addModel([1], { data: Float32Array.of(1) }));
    expect(await run()).toEqual([11]);
    await writeFile(path, addModel([1], { data: Float32Array.of(2) }));
    expect(await run()).toEqual([11]);
    await client.infer(await saveAdding(1), { x: Float32Array.of(0) });
    expect(await run()).toEqual([12]);
  });

  it.each(['FP16', 'FP32', 'FP64', 'BOOL'])('are warmed up with random %s', async (type) => {
    const elementType = { FP16: 10, FP32: 1, FP64: 11, BOOL: 9 }[type] ?? 1;
    const value = { shape: ['n', 4], elementType };
    const model = join(folder, `warm-${type}`);
    await mkdir(join(model, '1'), { recursive: true });
    const graph = {
      inputs: [{ name: 'x', ...value }],
      outputs: [{ name: 'y', ...value }],
      nodes: [['Identity', ['x'], ['y']] as const],
    };
    await writeFile(join(model, '1/model.onnx'), onnxModel(graph));
    await writeFile(
      join(model, 'config.pbtxt'),
      `max_batch_size: 8 model_warmup { name: "w" batch_size: 8 inputs {
         key: "x" value { data_type: TYPE_${type} dims: 4 random_data: true } } }`,
    );
    await using client = await way.connect();
    await client.prefetch(model);
  });
});

describe('models in process', () => {
  it('that do not load are refused at once afterwards, until they are asked for anew', async () => {
    await using client = await connect();
    const path = join(folder, 'odd.onnx');
    const value = { shape: ['n', 1] };
    const model = {
      inputs: [{ name: 'x', ...value }],
      outputs: [{ name: 'y', ...value }],
      nodes: [['NoSuchOperator', ['x'], ['y']] as const],
    };
    await writeFile(path, onnxModel(model));
    const run = () => client.infer(path, { x: Float32Array.of(1) });
    const first = await run().catch((error: unknown) => error as Error);
    expect(first).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((first as Error).message).not.toMatch(/failed to load/);
    await expect(run()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(
        /NoSuchOperator.*model 'odd' failed to load on cpu-fallback:0 \d+\.\d s ago.*prefetch/s,
      ) as string,
      cause: { message: (first as Error).message },
    });
    const anew = await client.prefetch(path).catch((error: unknown) => error as Error);
    expect((anew as Error).message).toBe((first as Error).message);
  });
});
