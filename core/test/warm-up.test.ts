import { describe, expect, it } from 'vitest';

import type { BackendTask, Device } from '../src/backend.js';
import { AxleError } from '../src/errors.js';
import { DataType, type DataTypeName } from '../src/generated/constants.js';
import { imageSize } from '../src/image-format.js';
import { defaultLimits } from '../src/limits.js';
import type { WarmUp } from '../src/models/config.js';
import type { Model } from '../src/models/model.js';
import { randomValues } from '../src/models/random-values.js';
import { warmUp } from '../src/models/warm-up.js';
import { fusedRange, singleOp, type OpRange } from '../src/op.js';
import { decodeValues } from '../src/plugin-check/tensor-values.js';
import { alonePolicy } from '../src/scheduling/batch-policy.js';
import { DeviceQueue } from '../src/scheduling/device-queue.js';
import { TestBackend } from './test-backend.js';

const plain: WarmUp = {
  name: 'w',
  batchSize: 3,
  runs: 2,
  inputs: [{ name: 'x', dtype: 'FP32', shape: [3, 4, 5], data: 'random' }],
};
const classify: Model['classify'] = {
  preprocess: {
    width: 5,
    height: 4,
    channels: 1,
    layout: 'nchw',
    fit: 'fill',
    standardize: 'none',
    mean: [0],
    std: [1],
  },
  input: 'x',
  output: 'y',
  scores: 'logits',
  labels: [],
};

function modelOf(warmUps: readonly WarmUp[], overrides: Partial<Model> = {}): Model {
  const source = { name: 'm', format: 'onnx', contentId: 'm', files: [] };
  return { name: 'm', source, warmUps, maxBatchSize: 8, ...overrides } as unknown as Model;
}

function deviceOf(
  ranges: readonly OpRange[],
  work: (batch: readonly BackendTask[]) => Promise<[][]> | [][] = (batch) => batch.map(() => []),
) {
  const backend = new TestBackend('gpu', ranges, work);
  const [device] = backend.devices as [Device];
  const queue = new DeviceQueue(backend, device, defaultLimits, () => 0);
  const warm = async (model: Model) =>
    warmUp(queue, () => 0, backend, await backend.loadModel(device, model.source), model);
  return { backend, queue, warm };
}

describe('warmUp', () => {
  it('runs what the config describes, as often as it says', async () => {
    const { backend, warm } = deviceOf([singleOp('infer')]);
    await warm(modelOf([plain]));
    expect(backend.batchesSeen.map((batch) => batch.length)).toEqual([1, 1]);
    const { tensor, name } = backend.batchesSeen[0]?.[0]?.inputs[0] ?? {};
    expect([name, tensor?.dtype, tensor?.shape]).toEqual(['x', 'FP32', [3, 3, 4, 5]]);
  });

  it("waits its turn in the device's queue", async () => {
    let release = () => undefined as unknown;
    const gate = new Promise<void>((resolve) => (release = () => resolve()));
    const { backend, queue, warm } = deviceOf([singleOp('infer')], async (batch) => {
      await gate;
      return batch.map(() => []);
    });
    const call = {
      range: singleOp('compress'),
      args: {},
      model: undefined,
      inputs: [],
      outputBytesMax: 100,
      deadlineAt: undefined,
      batchKey: 'call',
      modelKey: '',
      policy: alonePolicy,
      items: 1,
      priority: 0,
      tenant: 't',
      weight: 1,
      repeatable: true,
    };
    queue.add(call, { taskDone: () => undefined }, 0);
    await new Promise(setImmediate);
    const warming = warm(modelOf([{ ...plain, runs: 1 }]));
    await new Promise(setImmediate);
    expect(backend.batchesSeen).toHaveLength(1);
    expect(queue.load).toBe(2);
    release();
    await warming;
    expect(backend.batchesSeen).toHaveLength(2);
  });

  it('runs the fused range of a device that offers infer only so', async () => {
    const tensors = deviceOf([fusedRange('classify', 2, 3), fusedRange('classify', 1, 3)]);
    await tensors.warm(modelOf([plain], { classify }));
    const [[task] = []] = tensors.backend.batchesSeen;
    expect(task?.range).toMatchObject({ first: 2, last: 3 });
    expect(task?.args).toMatchObject({ k: 1, output: 'y' });
    expect(task?.inputs[0]?.tensor.shape).toEqual([3, 3, 4, 5]);

    const pixels = deviceOf([fusedRange('classify', 1, 3)]);
    await pixels.warm(modelOf([plain], { classify }));
    // One image a task, and those of a run together.
    expect(pixels.backend.batchesSeen.map((batch) => batch.length)).toEqual([3, 3]);
    const image = pixels.backend.batchesSeen[0]?.[0];
    expect(image?.args).toMatchObject({ width: 5, height: 4 });
    expect(image?.inputs).toMatchObject([
      { name: '', tensor: { dtype: 'UINT8', shape: [4, 5, 1] } },
    ]);

    const files = deviceOf([fusedRange('classify', 0, 3)]);
    await files.warm(modelOf([plain], { classify }));
    const file = files.backend.batchesSeen[0]?.[0]?.inputs[0]?.tensor.bytes ?? new Uint8Array();
    expect(imageSize(file)).toMatchObject({ width: 5, height: 4 });
  });

  it('says so where the device offers nothing that runs the model', async () => {
    const { backend, warm } = deviceOf([singleOp('topk')]);
    await expect(warm(modelOf([plain], { classify }))).rejects.toMatchObject({
      code: 'UNIMPLEMENTED',
      message: expect.stringMatching(/'m' has warm-ups, and gpu:0 offers nothing/) as string,
    });
    await warm(modelOf([]));
    expect(backend.batchesSeen).toEqual([]);
    const picky = deviceOf([singleOp('infer')]);
    picky.backend.support = { score: 0, reason: 'not this one' };
    await expect(picky.warm(modelOf([plain]))).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
  });

  it('fails when all of its tasks are done, naming the warm-up', async () => {
    let done = 0;
    const { warm } = deviceOf([fusedRange('classify', 1, 3)], async (batch) => {
      await new Promise(setImmediate);
      done += batch.length;
      throw new AxleError('INVALID_ARGUMENT', 'no such input');
    });
    await expect(warm(modelOf([plain], { classify }))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: "warm-up 'w' failed: no such input",
    });
    expect(done).toBe(3);
  });

  it.each([
    [{ inputs: [{ ...(plain.inputs[0] as WarmUp['inputs'][0]), shape: [2 ** 30] }] }, {}],
    [{ inputs: [{ ...(plain.inputs[0] as WarmUp['inputs'][0]), shape: [2 ** 40, 2 ** 40] }] }, {}],
    [
      {},
      {
        classify: {
          ...classify,
          preprocess: {
            ...classify.preprocess,
            channels: 3 as const,
            width: 16_384,
            height: 16_384,
          },
        },
      },
    ],
  ])('refuses inputs that are too large: %j', async (entry, overrides) => {
    const ranges = 'classify' in overrides ? [fusedRange('classify', 1, 3)] : [singleOp('infer')];
    const { warm, backend } = deviceOf(ranges);
    await expect(
      warm(modelOf([{ ...plain, ...entry }], overrides as Partial<Model>)),
    ).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(
        /of warm-up 'w' of model 'm' takes .* or more; the limit is 268435456/,
      ) as string,
    });
    expect(backend.batchesSeen).toEqual([]);
  });
});

describe('randomValues', () => {
  const count = 2000;
  const valuesOf = (dtype: DataTypeName) =>
    decodeValues(DataType[dtype], randomValues(dtype, [count]).bytes);

  it.each(['FP16', 'BF16', 'FP32', 'FP64'] as const)('of %s are spread from 0 to 1', (dtype) => {
    const values = valuesOf(dtype);
    expect(values).toHaveLength(count);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThanOrEqual(1);
    for (const from of [0, 0.25, 0.5, 0.75]) {
      const share = values.filter((value) => value >= from && value < from + 0.25).length / count;
      expect(Math.abs(share - 0.25)).toBeLessThan(0.08);
    }
  });

  it.each(['INT8', 'UINT16', 'INT32', 'UINT64'] as const)('of %s are of all sizes', (dtype) => {
    expect(new Set(valuesOf(dtype)).size).toBeGreaterThan(100);
  });

  it('of BOOL are 0 and 1, and of BYTES empty', () => {
    expect(new Set(valuesOf('BOOL'))).toEqual(new Set([0, 1]));
    expect(randomValues('BYTES', [2]).data).toEqual(['', '']);
  });
});
