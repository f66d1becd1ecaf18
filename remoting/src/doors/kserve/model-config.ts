import type { DataTypeName, Model, QueuePolicy, TensorSpec } from '@axle/core/internal';

import { platform, toldShape } from './metadata.js';

const usPerMs = 1000;
const modelFile = 'model.onnx';

/** How a model is served, as `ModelConfig` of proto/kserve/model_config.proto has it, and as JSON. */
export function modelConfig(name: string, model: Model): object {
  const { inputs, outputs, maxBatchSize, classify } = model;
  const labelsFile =
    classify !== undefined && classify.labels.length > 0 ? labelsFileOf(model) : '';
  const tensor = (spec: TensorSpec) => ({
    name: spec.name,
    data_type: dataType(spec.dtype),
    dims: maxBatchSize > 0 ? spec.shape.slice(1) : toldShape(spec),
  });
  return {
    name,
    platform,
    backend: 'onnxruntime',
    max_batch_size: maxBatchSize,
    input: inputs.map(tensor),
    output: outputs.map((output) => ({
      ...tensor(output),
      ...(output.name === classify?.output && labelsFile !== '' && { label_filename: labelsFile }),
    })),
    instance_group: model.instanceGroups.map(({ kind, count }) => ({
      count,
      kind: kind === 'any' ? 'KIND_AUTO' : `KIND_${kind}`,
    })),
    default_model_filename: modelFile,
    ...(model.dynamicBatching !== undefined && { dynamic_batching: batchingOf(model) }),
    model_warmup: model.warmUps.map(({ name: of, batchSize, runs, inputs: its }) => ({
      name: of,
      batch_size: batchSize,
      count: runs,
      inputs: Object.fromEntries(
        its.map(({ name: input, dtype, shape, data }) => [
          input,
          { data_type: dataType(dtype), dims: shape, [`${data}_data`]: true },
        ]),
      ),
    })),
    model_transaction_policy: { decoupled: false },
  };
}

function batchingOf({ dynamicBatching: batching }: Model): object {
  if (batching === undefined) return {};
  const { queuePolicy, priorityLevels: levels } = batching;
  return {
    preferred_batch_size: batching.preferredBatchSizes,
    max_queue_delay_microseconds: Math.round(batching.maxQueueDelayMs * usPerMs),
    preserve_ordering: batching.preserveOrdering,
    ...(levels !== undefined && {
      priority_levels: levels.count,
      default_priority_level: levels.defaultLevel,
      priority_queue_policy: Object.fromEntries(
        levels.queuePolicies.map(({ level, policy }) => [level, queuePolicyOf(policy)]),
      ),
    }),
    default_queue_policy: queuePolicyOf(queuePolicy),
  };
}

function queuePolicyOf({ timeoutAction, timeoutMs, maxQueueSize }: QueuePolicy): object {
  return {
    timeout_action: timeoutAction.toUpperCase(),
    default_timeout_microseconds: Math.round(timeoutMs * usPerMs),
    max_queue_size: maxQueueSize,
  };
}

function dataType(dtype: DataTypeName): string {
  return `TYPE_${dtype === 'BYTES' ? 'STRING' : dtype}`;
}

function labelsFileOf({ source }: Model): string {
  const files = source.companions ?? [];
  return files.find(({ name }) => name !== 'config.pbtxt')?.name ?? '';
}
