import { Tensor, type Model, type NamedTensor } from '@axle/core/internal';

/** The outputs of classify or topk with the labels of what they found, where the model has labels. */
export function withLabels(
  outputs: readonly NamedTensor[],
  model: Model | undefined,
): readonly NamedTensor[] {
  const labels = model?.classify?.labels ?? [];
  const indices = outputs[0]?.tensor;
  if (labels.length === 0 || outputs.length !== 2 || indices?.dtype !== 'INT32') return outputs;
  const found = Array.from(indices.data as Int32Array, (index) => labels[index] ?? String(index));
  return [...outputs, { name: 'labels', tensor: Tensor.from('BYTES', found, indices.shape) }];
}
