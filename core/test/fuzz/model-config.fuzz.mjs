import { ok } from 'node:assert';

import { onlyRefuses } from '../../../test/fuzz/only-refuses.mjs';
import { parseModelConfig } from '../../dist/models/config.js';
import { readPreprocess } from '../../dist/models/preprocess.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */

/** @param {ReturnType<typeof parseModelConfig>} config */
function checkBatching({ dynamicBatching, instanceGroups, warmUps }) {
  ok(instanceGroups.every(({ count }) => Number.isSafeInteger(count) && count >= 1));
  for (const { batchSize, runs, inputs } of warmUps) {
    ok(batchSize >= 0 && runs >= 1 && runs <= 1000);
    ok(inputs.every(({ shape }) => shape.every((size) => Number.isSafeInteger(size) && size >= 0)));
  }
  const { queuePolicy, priorityLevels } = dynamicBatching ?? {};
  const levels = priorityLevels?.queuePolicies ?? [];
  for (const policy of [queuePolicy, ...levels.map((each) => each.policy)]) {
    ok(policy === undefined || (policy.maxQueueSize >= 0 && policy.timeoutMs >= 0));
  }
  if (priorityLevels === undefined) return;
  const { count, defaultLevel } = priorityLevels;
  ok(defaultLevel >= 1 && defaultLevel <= count);
  ok(levels.every(({ level }, i) => level <= count && level > (levels[i - 1]?.level ?? 0)));
}

/** @type {FuzzTarget} */
export const target = {
  about: 'config.pbtxt, and what it says of preprocessing',
  run(bytes) {
    const config = onlyRefuses(() => parseModelConfig(bytes.toString(), 'config.pbtxt'));
    if (config === undefined) return;
    for (const { name, shape } of [...config.inputs, ...config.outputs]) {
      ok(name !== '' && shape.every((size) => Number.isSafeInteger(size) && size >= -1));
    }
    ok(config.maxBatchSize === undefined || config.maxBatchSize >= 0);
    checkBatching(config);
    ok(Object.values(config.parameters).every((value) => typeof value === 'string'));
    for (const input of config.inputs) {
      const batched = { ...input, shape: [-1, ...input.shape] };
      const preprocess = onlyRefuses(() => readPreprocess(config.parameters, batched, 'fuzz'));
      if (preprocess === undefined) continue;
      const { width, height, channels, mean, std } = preprocess;
      ok(width >= 1 && height >= 1 && mean.length === channels && std.length === channels);
      ok([...mean, ...std].every(Number.isFinite) && !std.includes(0));
    }
  },
  seeds: () => [
    `name: "m" platform: "onnxruntime_onnx" max_batch_size: 8
input [ { name: "image" data_type: TYPE_FP32 dims: [ 3, 64, 64 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 10 ] label_filename: "labels.txt" } ]
parameters { key: "axle.preprocess.mean" value { string_value: "1, 2, 3" } }
parameters { key: "axle.preprocess.std" value { string_value: "1,1,1" } }
dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100 }`,
    `max_batch_size: 8
dynamic_batching { preserve_ordering: true priority_levels: 3 default_priority_level: 2
default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 100 max_queue_size: 16 }
priority_queue_policy { key: 1 value { max_queue_size: 4 } }
priority_queue_policy [ { key: 3 value { timeout_action: REJECT default_timeout_microseconds: 5 } } ] }`,
    'dynamic_batching { default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 7 } }',
    'instance_group [ { count: 2 kind: KIND_CPU }, { kind: KIND_GPU gpus: [ 0, 1 ] } ]',
    `model_warmup [ { name: "w" batch_size: 4 count: 3
inputs { key: "i" value { data_type: TYPE_FP32 dims: [ 3, 8 ] random_data: true } }
inputs { key: "j" value { data_type: TYPE_INT64 dims: [ 1 ] zero_data: true } } } ]`,
    'version_policy { specific { versions: [ 1, 3 ] } }',
    'version_policy { latest { num_versions: 2 } }',
    'version_policy { all { } }',
    `input { name: "i" data_type: TYPE_FP32 dims: [ 8, 8, 1 ] }
parameters { key: "axle.preprocess.layout" value { string_value: "nhwc" } }
parameters { key: "axle.preprocess.color" value { string_value: "grey" } }
parameters { key: "axle.preprocess.fit" value { string_value: "cover" } }
parameters { key: "axle.preprocess.standardize" value { string_value: "image" } }`,
  ],
  dictionary: [
    ...'{}[]:"-',
    ...[
      'name',
      'input',
      'output',
      'dims',
      'data_type',
      'TYPE_STRING',
      'parameters',
      'key',
      'value',
    ],
    ...['dynamic_batching', 'default_queue_policy', 'priority_queue_policy', 'priority_levels'],
    ...['default_priority_level', 'max_queue_size', 'default_timeout_microseconds', 'DELAY'],
    ...['instance_group', 'count', 'kind', 'KIND_CPU', 'model_warmup', 'batch_size', 'inputs'],
    ...['random_data', 'zero_data', 'input_data_file', 'preserve_ordering', 'true'],
    ...['string_value', 'version_policy', 'latest', 'specific', 'all', 'max_batch_size', 'contain'],
    ...[
      'axle.preprocess.',
      'nchw',
      'nhwc',
      'rgb',
      'none',
      '__proto__',
      'constructor',
      '1e999',
      '0x',
    ],
  ],
};
