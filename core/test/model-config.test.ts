import { readFile } from 'node:fs/promises';

import { describe, expect, it } from 'vitest';

import { axleParameters } from '../src/models/axle-parameters.js';
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
       dynamic_batching {
         preferred_batch_size: [ 8, 4 ] max_queue_delay_microseconds: 1500 preserve_ordering: false
         default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 2500 max_queue_size: 7 }
         priority_levels: 5 default_priority_level: 2
         priority_queue_policy [ { key: 4 value { max_queue_size: 1 } }, { key: 1 value { max_queue_size: 9 } } ]
       }
       model_warmup {
         name: "zeros" batch_size: 4 count: 2
         inputs { key: "data" value { data_type: TYPE_FP32 dims: [ 3, 224, 224 ] zero_data: true } }
       }
       parameters { key: "axle.preprocess.fit" value { string_value: "cover" } }
       version_policy: { specific { versions: [1, 3] } }`,
      'config.pbtxt',
    );
    expect(config).toEqual({
      name: 'resnet',
      maxBatchSize: 8,
      inputs: [{ name: 'data', dtype: 'FP32', shape: [3, 224, 224] }],
      outputs: [{ name: 'prob', dtype: 'BYTES', shape: [-1], labelFile: 'labels.txt' }],
      parameters: { 'axle.preprocess.fit': 'cover' },
      dynamicBatching: {
        preferredBatchSizes: [4, 8],
        maxQueueDelayMs: 1.5,
        preserveOrdering: false,
        queuePolicy: { maxQueueSize: 7, timeoutMs: 2.5, timeoutAction: 'delay' },
        priorityLevels: {
          count: 5,
          defaultLevel: 2,
          queuePolicies: [
            { level: 1, policy: { maxQueueSize: 9, timeoutMs: 0, timeoutAction: 'reject' } },
            { level: 4, policy: { maxQueueSize: 1, timeoutMs: 0, timeoutAction: 'reject' } },
          ],
        },
      },
      instanceGroups: [{ kind: 'CPU', count: 2 }],
      warmUps: [
        {
          name: 'zeros',
          batchSize: 4,
          runs: 2,
          inputs: [{ name: 'data', dtype: 'FP32', shape: [3, 224, 224], data: 'zero' }],
        },
      ],
      versionPolicy: { kind: 'specific', versions: ['1', '3'] },
    });
  });

  it.each([
    ['max_batch_size: -1', /config.pbtxt: field 'max_batch_size' takes a whole number/],
    ['max_batch_size: "8"', /field 'max_batch_size'/],
    ['max_batch_size: 99999999999', /field 'max_batch_size' takes at most 2147483647/],
    [
      'platform: "tensorflow_graphdef"',
      /'platform' takes "onnxruntime_onnx", not "tensorflow_graphdef"/,
    ],
    ['backend: "python"', /'backend' takes "onnxruntime", not "python": Axle runs ONNX models/],
    ['sequence_batching { }', /'sequence_batching' is not supported: keep the state in inputs/],
    ['ensemble_scheduling { step [ ] }', /'ensemble_scheduling' is not supported: call its models/],
    [
      'dynamic_batching { priority_levels: 2 }',
      /'default_priority_level' takes a level from 1 to 2/,
    ],
    [
      'dynamic_batching { priority_levels: 2 default_priority_level: 3 }',
      /'default_priority_level' takes a level from 1 to 2/,
    ],
    [
      'dynamic_batching { priority_levels: 202 default_priority_level: 3 }',
      /'priority_levels' takes at most 201/,
    ],
    [
      `dynamic_batching { priority_levels: 2 default_priority_level: 1
         priority_queue_policy { key: 3 value { } } }`,
      /priority_queue_policy: field 'key' takes a level from 1 to 2/,
    ],
    [
      'dynamic_batching { preserve_ordering: true priority_levels: 2 default_priority_level: 1 }',
      /'preserve_ordering' takes one priority level beside it/,
    ],
    [
      'dynamic_batching { priority_queue_policy { key: 1 value { max_queue_size: 4 } } }',
      /'priority_levels' takes their number/,
    ],
    ['input { data_type: TYPE_FP32 }', /config.pbtxt: input: field 'name'/],
    ['input { name: "x" data_type: TYPE_FP99 dims: 1 }', /field 'data_type'/],
    ['input { name: "x" data_type: TYPE_FP32 dims: -2 }', /field 'dims'/],
    ['name: 5', /field 'name' takes a string/],
    ['dynamic_batching: 5', /field 'dynamic_batching' takes a message/],
    [
      'dynamic_batching { preferred_batch_size: 0 }',
      /'preferred_batch_size' takes sizes from 1 up/,
    ],
    ['dynamic_batching { preserve_ordering: 3 }', /field 'preserve_ordering'/],
    [
      'dynamic_batching { preserve_ordering: true default_queue_policy { timeout_action: DELAY } }',
      /field 'preserve_ordering' takes no timeout_action DELAY/,
    ],
    [
      'dynamic_batching { default_queue_policy { timeout_action: WAIT } }',
      /field 'timeout_action' takes REJECT or DELAY/,
    ],
    [
      'parameters { key: "axle.slo_awareness" value { string_value: "true" } }',
      /parameters: field 'key' takes axle.batching.slo_aware, axle.classify.output, .* not 'axle.slo_awareness'/,
    ],
    ['instance_group { count: 0 }', /field 'count' takes a whole number from 1 to 1024/],
    ['instance_group { count: 1025 }', /field 'count' takes a whole number from 1 to 1024/],
    ['instance_group { kind: KIND_TPU }', /field 'kind' takes KIND_AUTO or KIND_CPU/],
    ['model_warmup { count: 100000 }', /field 'count' takes at most 1000/],
    [
      'model_warmup { inputs { key: "x" value { data_type: TYPE_FP32 dims: 1 input_data_file: "f" } } }',
      /field 'input_data_file' takes nothing here/,
    ],
  ])('refuses %j naming the field', (text, message) => {
    expect(() => parseModelConfig(text, 'config.pbtxt')).toThrow(message);
  });

  it.each([
    'platform: "" backend: "onnxruntime"',
    'dynamic_batching { priority_levels: 0 }',
    'dynamic_batching { priority_levels: 1 default_priority_level: 1 }',
    '\ufeffmax_batch_size: 8',
    'parameters { key: "execution_mode" value { string_value: "1" } }',
  ])('takes %j', (text) => {
    expect(() => parseModelConfig(text, 'config.pbtxt')).not.toThrow();
  });

  it('is as docs/models.md shows it, which names every parameter of Axle', async () => {
    const page = await readFile(new URL('../../docs/models.md', import.meta.url), 'utf8');
    const example = page.split('```').find((block) => block.includes('max_batch_size:'));
    expect(parseModelConfig(example ?? '', 'docs/models.md')).toMatchObject({
      maxBatchSize: 32,
      dynamicBatching: { maxQueueDelayMs: 0.5, priorityLevels: { count: 3, defaultLevel: 2 } },
      warmUps: [{ name: 'first', inputs: [{ data: 'zero' }] }],
    });
    const keys = axleParameters.map((key) => key.replace('axle.preprocess.std', 'std'));
    for (const key of keys) expect(page).toContain(key);
  });
});
