import sharp from 'sharp';
import { describe, expect, it } from 'vitest';

import { DataType, OpFlag, OpId } from '../src/generated/constants.js';
import { readOnnxMetadata } from '../src/models/onnx-metadata.js';
import type { NativeOpInfo } from '../src/native-binding.js';
import type { TaskCompletion } from '../src/plugin-check/host-connection.js';
import { damagedModels, modelInTwoFiles } from '../src/plugin-check/samples/damaged-models.js';
import { samplesOf } from '../src/plugin-check/samples/op-samples.js';
import { encodePng } from '../src/png.js';
import { ranked, softmax } from '../src/plugin-check/samples/scores.js';
import {
  classifierModel,
  classifierScores,
  sumModel,
} from '../src/plugin-check/samples/tiny-models.js';
import { encodeValues } from '../src/plugin-check/tensor-values.js';

const modelOf = (source: { readonly files: readonly { readonly data: Uint8Array }[] }) =>
  source.files[0]?.data ?? new Uint8Array();

describe('the models of the check', () => {
  it('are ONNX, and say of themselves what model_info has to', () => {
    expect(readOnnxMetadata(modelOf(classifierModel().source), 'm')).toEqual({
      inputs: [{ name: 'x', dtype: 'FP32', shape: [-1, 3, 2, 2] }],
      outputs: [{ name: 'y', dtype: 'FP32', shape: [-1, 5] }],
      externalFiles: [],
    });
    expect(readOnnxMetadata(modelOf(sumModel('INT64').source), 'm')).toMatchObject({
      inputs: [{ dtype: 'INT64', shape: [-1, 8] }],
    });
    expect(modelOf(classifierModel().source).length).toBeLessThan(1000);
  });

  it('name their second file', () => {
    const source = modelInTwoFiles();
    const { externalFiles } = readOnnxMetadata(modelOf(source), 'm');
    expect(externalFiles).toEqual(['weights.bin']);
    expect(source.files.map(({ name }) => name)).toEqual(['model.onnx', 'weights.bin']);
  });

  it('are damaged each in a way of its own', () => {
    const models = damagedModels().map(({ source }) =>
      Buffer.from(modelOf(source)).toString('hex'),
    );
    expect(new Set(models).size).toBe(models.length);
  });

  it('have scores that differ by image and by class', () => {
    const dark = classifierScores(new Array<number>(12).fill(0));
    const bright = classifierScores(Array.from({ length: 12 }, (_, i) => i / 12));
    expect(dark).toEqual([0, 1.25, 0.75, 0.25, 1.5]);
    expect(new Set(bright).size).toBe(5);
    expect(bright).not.toEqual(dark);
  });
});

describe('the images of the check', () => {
  it('are PNG files that another decoder reads', async () => {
    const pixels = Uint8Array.from({ length: 5 * 3 * 3 }, (_, i) => i * 5);
    const { data, info } = await sharp(encodePng(pixels, 5, 3))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(info).toMatchObject({ width: 5, height: 3, channels: 3 });
    expect(data.equals(pixels)).toBe(true);
  });
});

describe('a range of classify', () => {
  const op: NativeOpInfo = {
    op: OpId.classify,
    version: 1,
    name: '',
    doc: '',
    flags: OpFlag.PURE,
    chainFirst: 0,
    chainLast: 0,
    batchMax: 0,
    args: [],
    inputs: [],
    outputs: [],
  };
  const completion = (outputs: TaskCompletion['outputs']): TaskCompletion => ({
    status: 0,
    message: '',
    outputs,
    batchSize: 1,
    timesNs: { queue_ns: 0, transfer_ns: 0, compute_ns: 0 },
    consumedBytes: 0,
    more: false,
  });
  const output = (index: number, dtype: DataType, dims: readonly number[], data: Uint8Array) => ({
    index,
    name: '',
    dtype,
    dims,
    data,
  });

  it('that decodes gets a PNG, and gives its pixels', async () => {
    const [sample] = samplesOf(op);
    const file = sample?.request.inputs[0]?.data as Uint8Array;
    const pixels = await sharp(file).raw().toBuffer();
    const given = (data: Uint8Array, dims = [2, 2, 3]) =>
      sample?.problemOf(completion([output(0, DataType.UINT8, dims, data)]));
    expect(given(pixels)).toBeUndefined();
    expect(given(pixels.map((value) => value ^ 1))).toMatch(/not those of the PNG/);
    expect(given(pixels, [4, 3])).toMatch(/output 0 is \[4, 3\]/);
  });

  it('from a PNG to labels takes the arguments of all its steps', () => {
    const [sample] = samplesOf({ ...op, chainLast: 3 });
    expect(sample?.request).toMatchObject({ first: 0, last: 3 });
    expect(sample?.request.args?.map(([name]) => name)).toEqual(['width', 'height', 'std', 'k']);
    expect(sample?.model?.inputs[0]?.name).toBe('x');
    const labels = (indices: readonly number[], scores: readonly number[]) =>
      sample?.problemOf(
        completion([
          output(0, DataType.INT32, [3], encodeValues(DataType.INT32, indices)),
          output(1, DataType.FP32, [3], encodeValues(DataType.FP32, scores)),
        ]),
      );
    const pixels = Array.from({ length: 12 }, (_, i) => (i * 37 + 5) & 255);
    const planes = [0, 1, 2].flatMap((c) =>
      [0, 1, 2, 3].map((p) => (pixels[p * 3 + c] ?? 0) / 255),
    );
    const best = ranked(classifierScores(planes), 3);
    expect(labels(best.indices, best.scores)).toBeUndefined();
    expect(labels([...best.indices].reverse(), best.scores)).toMatch(/index 0 is/);
    expect(labels(best.indices, [9, 9, 9])).toMatch(/of the scores/);
  });
});

describe('the ranking of the check', () => {
  it('has the best first, equal ones by index, NaN last', () => {
    expect(ranked([1, NaN, 3, 3, -Infinity], 9)).toEqual({
      indices: [2, 3, 0, 4, 1],
      scores: [3, 3, 1, -Infinity, NaN],
    });
    expect(ranked([1, 2], 1)).toEqual({ indices: [1], scores: [2] });
  });

  it('has probabilities that sum to 1', () => {
    const probabilities = softmax([1000, 1000, 999]);
    expect(probabilities[0]).toBe(probabilities[1]);
    expect(probabilities.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1);
  });
});
