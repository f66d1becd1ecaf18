import sharp from 'sharp';
import { describe, expect, it } from 'vitest';

import { readOnnxMetadata } from '../src/models/onnx-metadata.js';
import { damagedModels, modelInTwoFiles } from '../src/plugin-check/samples/damaged-models.js';
import { encodePng } from '../src/plugin-check/samples/png.js';
import { ranked, softmax } from '../src/plugin-check/samples/scores.js';
import {
  classifierModel,
  classifierScores,
  sumModel,
} from '../src/plugin-check/samples/tiny-models.js';

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
