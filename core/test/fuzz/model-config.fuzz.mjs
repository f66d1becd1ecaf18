import { ok } from 'node:assert';

import { onlyRefuses } from '../../../test/fuzz/only-refuses.mjs';
import { parseModelConfig } from '../../dist/models/config.js';
import { readPreprocess } from '../../dist/models/preprocess.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */

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
