import { describe, expect, it } from 'vitest';

import { parseModelConfig } from '../src/models/config.js';

describe('parseModelConfig', () => {
  it("reads Triton's fields and ignores those that Axle does not act on", () => {
    const config = parseModelConfig(
      `name: "resnet"
       platform: "onnxruntime_onnx"
       max_batch_size: 8
       input [ { name: "data" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [ 3, 224, 224 ] } ]
       output { name: "prob" data_type: TYPE_STRING dims: [ -1 ] label_filename: "labels.txt" }
       instance_group [ { kind: KIND_CPU count: 2 } ]
       dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 1500 }
       parameters { key: "axle.preprocess.fit" value { string_value: "cover" } }
       version_policy: { specific { versions: [1, 3] } }`,
      'config.pbtxt',
    );
    expect(config).toEqual({
      name: 'resnet',
      platform: 'onnxruntime_onnx',
      maxBatchSize: 8,
      inputs: [{ name: 'data', dtype: 'FP32', shape: [3, 224, 224] }],
      outputs: [{ name: 'prob', dtype: 'BYTES', shape: [-1], labelFile: 'labels.txt' }],
      parameters: { 'axle.preprocess.fit': 'cover' },
      dynamicBatching: { preferredBatchSizes: [4, 8], maxQueueDelayMs: 1.5 },
      versionPolicy: { kind: 'specific', versions: ['1', '3'] },
    });
  });

  it.each([
    ['max_batch_size: -1', /config.pbtxt: field 'max_batch_size' takes a whole number/],
    ['max_batch_size: "8"', /field 'max_batch_size'/],
    ['input { data_type: TYPE_FP32 }', /config.pbtxt: input: field 'name'/],
    ['input { name: "x" data_type: TYPE_FP99 dims: 1 }', /field 'data_type'/],
    ['input { name: "x" data_type: TYPE_FP32 dims: -2 }', /field 'dims'/],
    ['name: 5', /field 'name' takes a string/],
    ['dynamic_batching: 5', /field 'dynamic_batching' takes a message/],
  ])('refuses %j naming the field', (text, message) => {
    expect(() => parseModelConfig(text, 'config.pbtxt')).toThrow(message);
  });
});
