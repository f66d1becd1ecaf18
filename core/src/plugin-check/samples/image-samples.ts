import { ArgType, DataType } from '../../generated/constants.js';
import type { NativeArg, NativeOpInfo } from '../../native-binding.js';
import { decodeValues, encodeValues } from '../tensor-values.js';
import { firstDifference, tolerance } from '../tolerance.js';
import {
  formProblem,
  outputBytes,
  requestOf,
  sampleOf,
  type OpSample,
  type SampleMaker,
} from './sample.js';
import { ranked, rankingOf, rankingProblem, softmax } from './scores.js';

/** preprocess: numbers alone, and scaling. */
export function preprocessSamples(op: NativeOpInfo): OpSample[] {
  return [sampleOf(op, normalized(op)), sampleOf(op, scaledDown(op))];
}

/** topk of scores, and of logits. */
export function topkSamples(op: NativeOpInfo): OpSample[] {
  return [sampleOf(op, bestScores(op)), sampleOf(op, bestLogits(op))];
}

const channels = 3;

/** Two pixels beside each other: y = x / 255, channels first. */
function normalized(op: NativeOpInfo): SampleMaker {
  const std = encodeValues(DataType.FP32, [255, 255, 255]);
  return ({ seed }) => {
    const pixels = Uint8Array.from([0, 51, 102, 153, 204, 255], (value) => (value + seed) & 255);
    const wanted = [0, 3, 1, 4, 2, 5].map((at) => (pixels[at] ?? NaN) / 255);
    return {
      label: 'preprocess',
      mayRefuse: false,
      request: requestOf(op, [['std', ArgType.BYTES, std]], [image(pixels, 2, 1)]),
      problemOf: (completion) => {
        const values = decodeValues(DataType.FP32, outputBytes(completion, 0));
        const limit = { relative: 0, absolute: tolerance.preprocess.unscaled.absolute / 255 };
        const apart = firstDifference(values, wanted, limit);
        const form = formProblem(completion, 0, DataType.FP32, [1, channels, 1, 2]);
        return form ?? apart;
      },
    };
  };
}

/** Of one colour, which scaling does not change. */
function scaledDown(op: NativeOpInfo): SampleMaker {
  const [side, smallerSide] = [16, 4];
  const args: readonly NativeArg[] = [
    ['width', ArgType.INT, smallerSide],
    ['height', ArgType.INT, smallerSide],
    ['layout', ArgType.STRING, 'nhwc'],
  ];
  return ({ seed }) => {
    const colour = [(10 + seed) & 255, 100, 250];
    const pixels = Uint8Array.from(
      { length: side * side * channels },
      (_, i) => colour[i % 3] ?? 0,
    );
    const count = smallerSide * smallerSide * channels;
    const wanted = Array.from({ length: count }, (_, i) => colour[i % 3] ?? 0);
    return {
      label: 'preprocess with scaling',
      mayRefuse: false,
      request: requestOf(op, args, [image(pixels, side, side)]),
      problemOf: (completion) => {
        const values = decodeValues(DataType.FP32, outputBytes(completion, 0));
        const dims = [1, smallerSide, smallerSide, channels];
        const form = formProblem(completion, 0, DataType.FP32, dims);
        return form ?? firstDifference(values, wanted, tolerance.preprocess.scaled);
      },
    };
  };
}

function image(pixels: Uint8Array, width: number, height: number) {
  return { name: null, dtype: DataType.UINT8, dims: [height, width, channels], data: pixels };
}

/** With two equal ones, and one that is no number. */
const someScores = [0.125, 0.5, -1, 0.5, NaN, 0.25];

function rotated(values: readonly number[], by: number): number[] {
  return values.map((_, i) => values[(i + by) % values.length] ?? NaN);
}

function bestScores(op: NativeOpInfo): SampleMaker {
  const k = someScores.length;
  return ({ seed }) => {
    const scores = rotated(someScores, seed);
    return {
      label: 'topk',
      mayRefuse: false,
      request: requestOf(op, [['k', ArgType.INT, k]], [scoresInput(scores)]),
      problemOf: (completion) =>
        rankingProblem(completion, scores, k, tolerance.topk) ??
        (String(rankingOf(completion).indices) === String(ranked(scores, k).indices)
          ? undefined
          : 'equal scores are not in the order of their indices'),
    };
  };
}

function bestLogits(op: NativeOpInfo): SampleMaker {
  const k = 3;
  const args: readonly NativeArg[] = [
    ['k', ArgType.INT, k],
    ['softmax', ArgType.BOOL, true],
  ];
  return ({ seed }) => {
    const logits = rotated([1, 4, -2, 3, 0], seed);
    return {
      label: 'topk of logits',
      mayRefuse: false,
      request: requestOf(op, args, [scoresInput(logits)]),
      problemOf: (completion) => rankingProblem(completion, softmax(logits), k, tolerance.topk),
    };
  };
}

function scoresInput(scores: readonly number[]) {
  const data = encodeValues(DataType.FP32, scores);
  return { name: null, dtype: DataType.FP32, dims: [scores.length], data };
}
