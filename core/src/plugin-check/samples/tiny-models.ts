import { DataType } from '../../generated/constants.js';
import type { NativeTensorSpec } from '../../native-binding.js';
import { writeOnnx, type OnnxTypeName } from '../onnx-writer.js';
import type { ModelSource } from '../plugin-under-test.js';

/** A model made in code, so that a check needs no file beside the plugin. */
export interface TinyModel {
  readonly source: ModelSource;
  /** What model_info must say. */
  readonly inputs: readonly NativeTensorSpec[];
  readonly outputs: readonly NativeTensorSpec[];
}

/** The classifier's input is [batch, 3, 2, 2]: an image as preprocess makes it. */
export const imageSide = 2;
export const imageChannels = 3;
const features = imageChannels * imageSide * imageSide;
const classesDefault = 5;

/**
 * y = flatten(x) * w + b: x FP32 [batch, 3, 2, 2], y FP32 [batch, classes].
 *
 * @param weights the name of a file that holds w, FP32 row-major; absent: the model itself does.
 */
export function classifierModel({
  classes = classesDefault,
  weights,
}: { readonly classes?: number; readonly weights?: string } = {}): TinyModel {
  const w = weightsOf(classes);
  const model = writeOnnx({
    inputs: [{ name: 'x', type: 'FP32', shape: ['batch', imageChannels, imageSide, imageSide] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['batch', classes] }],
    nodes: [
      { operator: 'Flatten', inputs: ['x'], outputs: ['flat'] },
      { operator: 'MatMul', inputs: ['flat', 'w'], outputs: ['h'] },
      { operator: 'Add', inputs: ['h', 'b'], outputs: ['y'] },
    ],
    weights: [
      { name: 'w', shape: [features, classes], data: weights ?? w },
      { name: 'b', shape: [classes], data: biasOf(classes) },
    ],
  });
  return {
    source: sourceOf('axle-check-classifier', model),
    inputs: [{ name: 'x', dtype: DataType.FP32, dims: [-1, imageChannels, imageSide, imageSide] }],
    outputs: [{ name: 'y', dtype: DataType.FP32, dims: [-1, classes] }],
  };
}

/** What {@link classifierModel} gives for one image, in double precision. */
export function classifierScores(x: ArrayLike<number>, classes = classesDefault): number[] {
  const w = weightsOf(classes);
  const b = biasOf(classes);
  return Array.from({ length: classes }, (_, j) => {
    let sum = b[j] ?? NaN;
    for (let i = 0; i < features; i++) sum += (x[i] ?? NaN) * (w[i * classes + j] ?? NaN);
    return sum;
  });
}

/** The file that a classifier with weights outside names. */
export function weightsFile(classes = classesDefault): Uint8Array {
  return new Uint8Array(weightsOf(classes).buffer);
}

/** y = x + x, both [batch, 8]. */
export function sumModel(type: OnnxTypeName): TinyModel {
  const shape = ['batch', sumWidth];
  const spec = { dtype: DataType[type], dims: [-1, sumWidth] };
  const model = writeOnnx({
    inputs: [{ name: 'x', type, shape }],
    outputs: [{ name: 'y', type, shape }],
    nodes: [{ operator: 'Add', inputs: ['x', 'x'], outputs: ['y'] }],
  });
  return {
    source: sourceOf(`axle-check-sum-${type.toLowerCase()}`, model),
    inputs: [{ name: 'x', ...spec }],
    outputs: [{ name: 'y', ...spec }],
  };
}

export const sumWidth = 8;

function sourceOf(name: string, model: Uint8Array): ModelSource {
  return { name, format: 'onnx', files: [{ name: 'model.onnx', data: model }] };
}

/** Sums of a few of them are exact in FP32, and differ enough to be told apart in FP16. */
function weightsOf(classes: number): Float32Array {
  return Float32Array.from({ length: features * classes }, (_, at) => {
    const i = Math.floor(at / classes);
    const j = at % classes;
    return (((i * 7 + j * 3) % 11) - 5) / 8;
  });
}

function biasOf(classes: number): Float32Array {
  return Float32Array.from({ length: classes }, (_, j) => ((j * 5) % 7) / 4);
}
