import { AxleError, Tensor, type Model } from '@axle/core/internal';

/** As C prints a float. */
const decimals = 6;

/**
 * The classification extension: the best `count` elements of each item as text `value:index` or `value:index:label`, best
 * first. An output with a batch keeps it; the rest of its dimensions is one row of classes.
 *
 * @throws AxleError INVALID_ARGUMENT for a tensor that has no order, or no classes.
 */
export function classified(name: string, tensor: Tensor, model: Model, count: number): Tensor {
  const { shape } = tensor;
  const rows = model.maxBatchSize > 0 ? (shape[0] ?? 1) : 1;
  const values = valuesOf(name, tensor);
  const classes = rows === 0 ? 0 : values.length / rows;
  const kept = Math.min(count, classes);
  const isFloat = tensor.dtype === 'FP32' || tensor.dtype === 'FP64';
  const labels = model.classify?.output === name ? model.classify.labels : [];
  const texts: string[] = [];
  for (let row = 0; row < rows; row++) {
    const scores = values.slice(row * classes, (row + 1) * classes);
    for (const index of best(scores, kept)) {
      const value = isFloat ? Number(scores[index]).toFixed(decimals) : String(scores[index]);
      const label = labels[index] ?? '';
      texts.push(label === '' ? `${value}:${index}` : `${value}:${index}:${label}`);
    }
  }
  return Tensor.from('BYTES', texts, model.maxBatchSize > 0 ? [rows, kept] : [kept]);
}

function valuesOf(name: string, tensor: Tensor): ArrayLike<number | bigint> & Sliceable {
  const { dtype } = tensor;
  if (dtype === 'BYTES' || dtype === 'BOOL' || dtype === 'FP16' || dtype === 'BF16') {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `output '${name}' is ${dtype}, which has no classification; ask for it without`,
    );
  }
  return tensor.data as ArrayLike<number | bigint> & Sliceable;
}

interface Sliceable {
  slice(from: number, to: number): ArrayLike<number | bigint>;
}

/** Positions of the greatest values, the first of equals first. What is no number comes last. */
function best(values: ArrayLike<number | bigint>, count: number): readonly number[] {
  const order = Array.from({ length: values.length }, (_, index) => index);
  const of = (index: number) => {
    const value = values[index] ?? 0;
    return Number.isNaN(value) ? -Infinity : value;
  };
  return order
    .sort((a, b) => {
      const [left, right] = [of(a), of(b)];
      return left < right ? 1 : left > right ? -1 : a - b;
    })
    .slice(0, count);
}
