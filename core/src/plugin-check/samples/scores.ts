import { DataType } from '../../generated/constants.js';
import type { TaskCompletion } from '../host-connection.js';
import { decodeValues } from '../tensor-values.js';
import { rankingDifference, type NumberTolerance, type Ranking } from '../tolerance.js';
import { formProblem, outputBytes } from './sample.js';

/** The `k` best as topk has them: best first, equal ones by lower index, NaN last. */
export function ranked(scores: readonly number[], k: number): Ranking {
  const better = (a: number, b: number) => {
    const [x, y] = [scores[a] ?? NaN, scores[b] ?? NaN];
    if (Number.isNaN(x) || Number.isNaN(y))
      return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
    return y - x;
  };
  const indices = [...scores.keys()].sort((a, b) => better(a, b) || a - b).slice(0, k);
  return { indices, scores: indices.map((index) => scores[index] ?? NaN) };
}

export function softmax(logits: readonly number[]): number[] {
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** Indices and scores as topk gives them. */
export function rankingOf(completion: TaskCompletion): Ranking {
  return {
    indices: decodeValues(DataType.INT32, outputBytes(completion, 0)),
    scores: decodeValues(DataType.FP32, outputBytes(completion, 1)),
  };
}

/** Says what is wrong with the outputs of topk of `scores`; undefined = nothing. */
export function rankingProblem(
  completion: TaskCompletion,
  scores: readonly number[],
  k: number,
  limit: NumberTolerance,
): string | undefined {
  return (
    formProblem(completion, 0, DataType.INT32, [k]) ??
    formProblem(completion, 1, DataType.FP32, [k]) ??
    rankingDifference(
      rankingOf(completion),
      ranked(scores, k),
      (index) => scores[index] ?? NaN,
      limit,
    )
  );
}
