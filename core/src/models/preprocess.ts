import type { TensorSpec } from '../backend.js';
import { AxleError } from '../errors.js';

/** How an image becomes the input of a model: `parameters` of its config whose keys start with `axle.preprocess.`. */
export interface Preprocess {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly layout: 'nchw' | 'nhwc';
  /** How an image of another shape is brought to width x height; as in CSS object-fit. */
  readonly fit: 'fill' | 'cover' | 'contain';
  readonly standardize: 'none' | 'image';
  /** One for each channel, in units of 0..255: y = (x - mean) / std. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const prefix = 'axle.preprocess.';
const imageSideMax = 16_384;

/**
 * @param input the model's image input, batch dimension included: [-1, C, H, W] or [-1, H, W, C].
 * @throws AxleError FAILED_PRECONDITION naming the model and what keeps it from taking images.
 */
export function readPreprocess(
  parameters: Readonly<Record<string, string>>,
  input: TensorSpec,
  model: string,
): Preprocess {
  const fail = (why: string) =>
    new AxleError('FAILED_PRECONDITION', `model '${model}' cannot classify images: ${why}`);
  if (input.dtype !== 'FP32') throw fail(`its input '${input.name}' is ${input.dtype}, not FP32`);
  if (input.shape.length !== 4) {
    throw fail(`its input '${input.name}' has ${input.shape.length} dimensions, not 4`);
  }
  const choose = <T extends string>(key: string, choices: readonly T[], otherwise: T): T => {
    const value = parameters[prefix + key] ?? otherwise;
    if (choices.includes(value as T)) return value as T;
    throw fail(`parameter ${prefix}${key} is '${value}'; it takes ${choices.join(' or ')}`);
  };
  const numbers = (key: string, count: number, otherwise: number): number[] => {
    const text = parameters[prefix + key];
    if (text === undefined) return new Array<number>(count).fill(otherwise);
    const parts = text.split(',');
    const values = parts.map((part) => (part.trim() === '' ? NaN : Math.fround(Number(part))));
    if (values.length === count && values.every(Number.isFinite)) return values;
    throw fail(`parameter ${prefix}${key} is '${text}'; it takes ${count} numbers with commas`);
  };

  const channelsLast =
    [1, 3].includes(input.shape[3] ?? 0) && ![1, 3].includes(input.shape[1] ?? 0);
  const layout = choose('layout', ['nchw', 'nhwc'], channelsLast ? 'nhwc' : 'nchw');
  const [, a = 0, b = 0, c = 0] = input.shape;
  const [channels, height, width] = layout === 'nchw' ? [a, b, c] : [c, a, b];
  if (channels !== 1 && channels !== 3) {
    throw fail(`its input has ${channels} channels in layout ${layout}, not 1 or 3`);
  }
  if ([width, height].some((side) => side < 1 || side > imageSideMax)) {
    throw fail(`its input has no fixed height and width up to ${imageSideMax}`);
  }
  const color = choose('color', ['rgb', 'grey'], channels === 3 ? 'rgb' : 'grey');
  if ((color === 'rgb') !== (channels === 3)) {
    throw fail(`parameter ${prefix}color is '${color}' but its input has ${channels} channel(s)`);
  }
  const standardize = choose('standardize', ['none', 'image'], 'none');
  const std = numbers('std', channels, standardize === 'none' ? 255 : 1);
  if (std.includes(0)) throw fail(`parameter ${prefix}std holds a 0`);
  return {
    width,
    height,
    channels,
    layout,
    fit: choose('fit', ['fill', 'cover', 'contain'], 'fill'),
    standardize,
    mean: numbers('mean', channels, 0),
    std,
  };
}
