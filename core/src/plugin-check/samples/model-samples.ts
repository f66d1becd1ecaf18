import { ArgType, DataType } from '../../generated/constants.js';
import type { NativeArg, NativeOpInfo } from '../../native-binding.js';
import type { TaskCompletion } from '../host-connection.js';
import type { TaskInput } from '../plugin-under-test.js';
import { decodeValues, encodeValues } from '../tensor-values.js';
import { firstDifference, tolerance } from '../tolerance.js';
import { encodePng } from '../../png.js';
import { formProblem, outputBytes, requestOf, sampleOf, type OpSample } from './sample.js';
import { rankingProblem } from './scores.js';
import { classifierModel, classifierScores, imageChannels, imageSide } from './tiny-models.js';

/** infer: one row, and several. */
export function inferSamples(op: NativeOpInfo): OpSample[] {
  return [1, 3].map((rows) =>
    sampleOf(op, ({ seed }) => {
      const images = Array.from({ length: rows }, (_, row) => tensorOf(pixelsOf(seed + row * 100)));
      return {
        label: rows === 1 ? 'infer' : `infer of ${rows} rows`,
        mayRefuse: false,
        model,
        request: requestOf(op, [], [tensorInput('x', images)]),
        problemOf: (completion) => scoresProblem(completion, images),
      };
    }),
  );
}

/** Steps of classify, numbered as in plugin.h. */
const stepNames = ['decode', 'preprocess', 'infer', 'topk'] as const;
const inferStep = 2;
const best = 3;

/** A range of classify, or decode: the inputs of its first step, the outputs of its last. */
export function rangeSamples(op: NativeOpInfo, first: number, last: number): OpSample[] {
  const runsModel = first <= inferStep && inferStep <= last;
  const label =
    first === last
      ? (stepNames[first] ?? '')
      : `classify, ${stepNames[first] ?? first} to ${stepNames[last] ?? last}`;
  return [
    sampleOf(op, ({ seed }) => {
      const pixels = pixelsOf(seed);
      return {
        label,
        mayRefuse: false,
        ...(runsModel ? { model } : {}),
        request: requestOf(op, argsOf(first, last), [inputOf(first, pixels)]),
        problemOf: (completion) => stepProblem(last, pixels, completion),
      };
    }),
  ];
}

const model = classifierModel();

/** RGB, rows from the top. */
function pixelsOf(seed: number): Uint8Array {
  const count = imageSide * imageSide * imageChannels;
  return Uint8Array.from({ length: count }, (_, i) => (i * 37 + seed * 11 + 5) & 255);
}

/** What preprocess makes of it with the arguments below: y = x / 255, channels first. */
function tensorOf(pixels: Uint8Array): number[] {
  const area = imageSide * imageSide;
  return Array.from({ length: pixels.length }, (_, at) => {
    const channel = Math.floor(at / area);
    return Math.fround((pixels[(at % area) * imageChannels + channel] ?? NaN) / 255);
  });
}

/** Of all steps of the range together. */
function argsOf(first: number, last: number): NativeArg[] {
  const size: readonly NativeArg[] = [
    ['width', ArgType.INT, imageSide],
    ['height', ArgType.INT, imageSide],
  ];
  const std = encodeValues(DataType.FP32, new Array<number>(imageChannels).fill(255));
  return [
    ...(first <= 1 ? size : []),
    ...(first <= 1 && last >= 1 ? [['std', ArgType.BYTES, std] as const] : []),
    ...(last === stepNames.length - 1 ? [['k', ArgType.INT, best] as const] : []),
  ];
}

function inputOf(step: number, pixels: Uint8Array): TaskInput {
  if (step === 0) {
    const data = encodePng(pixels, imageSide, imageSide);
    return { name: null, dtype: DataType.UINT8, dims: [data.length], data };
  }
  const dims = [imageSide, imageSide, imageChannels];
  if (step === 1) return { name: null, dtype: DataType.UINT8, dims, data: pixels };
  const x = tensorOf(pixels);
  if (step === inferStep) return tensorInput('x', [x]);
  const scores = classifierScores(x);
  const data = encodeValues(DataType.FP32, scores);
  return { name: null, dtype: DataType.FP32, dims: [scores.length], data };
}

function tensorInput(name: string, images: readonly (readonly number[])[]): TaskInput {
  const dims = [images.length, imageChannels, imageSide, imageSide];
  return { name, dtype: DataType.FP32, dims, data: encodeValues(DataType.FP32, images.flat()) };
}

function stepProblem(
  step: number,
  pixels: Uint8Array,
  completion: TaskCompletion,
): string | undefined {
  const x = tensorOf(pixels);
  if (step === 0) {
    const form = formProblem(completion, 0, DataType.UINT8, [imageSide, imageSide, imageChannels]);
    const equal = outputBytes(completion, 0).equals(pixels);
    return form ?? (equal ? undefined : 'its pixels are not those of the PNG');
  }
  if (step === 1) {
    const dims = [1, imageChannels, imageSide, imageSide];
    const values = decodeValues(DataType.FP32, outputBytes(completion, 0));
    const limit = { relative: 0, absolute: tolerance.preprocess.unscaled.absolute / 255 };
    return formProblem(completion, 0, DataType.FP32, dims) ?? firstDifference(values, x, limit);
  }
  if (step === inferStep) return scoresProblem(completion, [x]);
  return rankingProblem(completion, classifierScores(x), best, tolerance.classify);
}

function scoresProblem(
  completion: TaskCompletion,
  images: readonly (readonly number[])[],
): string | undefined {
  const wanted = images.flatMap((x) => classifierScores(x));
  const [output] = completion.outputs;
  if (output !== undefined && output.name !== 'y') {
    return `the output is named '${output.name}', not 'y' as in the model`;
  }
  const values = decodeValues(DataType.FP32, outputBytes(completion, 0));
  return (
    formProblem(completion, 0, DataType.FP32, [images.length, wanted.length / images.length]) ??
    firstDifference(values, wanted, tolerance.infer.FP32)
  );
}
