import type { DataTypeName } from '../generated/constants.js';

/** Two numbers agree when they differ by at most absolute + relative * |the wanted one|. */
export interface NumberTolerance {
  readonly relative: number;
  readonly absolute: number;
}

const exact: NumberTolerance = { relative: 0, absolute: 0 };

/** How far the results of a plugin may be from those of the oracle, by op. What is not named is equal byte for byte. */
export const tolerance = {
  /** decompress undoes it byte for byte; the sizes of the same input at the same level. */
  compress: { sizeRatioMax: 1.5, sizeSlackBytes: 64 },
  /** In units of 0..255. Filters of Lanczos's quality differ from one another where they scale. */
  preprocess: {
    unscaled: { relative: 0, absolute: 0.01 },
    scaled: { relative: 0, absolute: 4 },
  },
  /** By the type of the output. FP32 leaves room for a device that multiplies with 10 bits of fraction (TF32). */
  infer: {
    FP64: { relative: 1e-9, absolute: 1e-9 },
    FP32: { relative: 1e-3, absolute: 2e-3 },
    FP16: { relative: 1e-2, absolute: 1e-2 },
    BF16: { relative: 5e-2, absolute: 5e-2 },
  },
  /** Of scores. Indices are equal, but for those whose scores are within it, which may change places. */
  topk: { relative: 1e-4, absolute: 1e-6 },
  /** Of the scores of a range that has infer in it. */
  classify: { relative: 1e-3, absolute: 2e-3 },
} as const satisfies Readonly<Record<string, unknown>>;

/** Of an output of infer. */
export function inferTolerance(dtype: DataTypeName): NumberTolerance {
  const byType: Readonly<Partial<Record<DataTypeName, NumberTolerance>>> = tolerance.infer;
  return byType[dtype] ?? exact;
}

export function isWithin(value: number, wanted: number, limit: NumberTolerance): boolean {
  if (Object.is(value, wanted) || value === wanted) return true;
  // All of the numbers are within a part of infinity.
  if (!Number.isFinite(wanted)) return false;
  return Math.abs(value - wanted) <= limit.absolute + limit.relative * Math.abs(wanted);
}

/** Says where two lists of numbers part; undefined = nowhere. */
export function firstDifference(
  values: readonly number[],
  wanted: readonly number[],
  limit: NumberTolerance,
): string | undefined {
  if (values.length !== wanted.length) {
    return `${values.length} values instead of ${wanted.length}`;
  }
  const at = wanted.findIndex((want, i) => !isWithin(values[i] ?? NaN, want, limit));
  return at < 0 ? undefined : `value ${at} is ${values[at]}, not ${wanted[at]}`;
}

export interface Ranking {
  readonly indices: readonly number[];
  readonly scores: readonly number[];
}

/**
 * Says where two rankings part; undefined = nowhere.
 *
 * @param scoreOf the wanted score of any index, in the ranking or not.
 */
export function rankingDifference(
  given: Ranking,
  wanted: Ranking,
  scoreOf: (index: number) => number,
  limit: NumberTolerance,
): string | undefined {
  if (given.indices.length !== wanted.indices.length) {
    return `${given.indices.length} indices instead of ${wanted.indices.length}`;
  }
  if (new Set(given.indices).size !== given.indices.length) {
    return `an index stands twice in ${given.indices.join(', ')}`;
  }
  const apart = firstDifference(given.scores, wanted.scores, limit);
  if (apart !== undefined) return `of the scores, ${apart}`;
  const at = wanted.indices.findIndex((index, i) => {
    const other = given.indices[i] ?? -1;
    return other !== index && !isWithin(scoreOf(other), scoreOf(index), limit);
  });
  return at < 0
    ? undefined
    : `index ${at} is ${given.indices[at]}, not ${wanted.indices[at]}, and their scores differ`;
}
