import { AxleError, DATA_TYPE_BYTES, type DataTypeName } from '@axle/core/internal';

import type { KserveModel, KserveStatistics } from './kserve-client.js';

/** Of a server's messages, which may lack anything. */
type Fields = Readonly<Record<string, unknown>>;

const dimensionsMax = 64;
const inputsMax = 4096;

/** @throws AxleError INTERNAL for what is no description of a model. */
export function modelOf(name: string, metadata: unknown, config: unknown): KserveModel {
  const { inputs } = fieldsOf(metadata);
  const { max_batch_size: maxBatchSize = 0 } = fieldsOf(config);
  if (!Array.isArray(inputs) || inputs.length > inputsMax || typeof maxBatchSize !== 'number') {
    throw unreadable(name);
  }
  return {
    name,
    maxBatchSize,
    inputs: inputs.map((each) => {
      const { name: input, datatype, shape = [] } = fieldsOf(each);
      const sizes =
        Array.isArray(shape) && shape.length <= dimensionsMax ? shape.map(Number) : [NaN];
      if (
        typeof input !== 'string' ||
        !isDataType(datatype) ||
        !sizes.every(Number.isSafeInteger)
      ) {
        throw unreadable(name);
      }
      return { name: input, dtype: datatype, shape: sizes };
    }),
  };
}

/** Of all versions that are told of. */
export function statisticsOf(message: unknown): KserveStatistics {
  const { model_stats: models } = fieldsOf(message);
  const all = Array.isArray(models) ? models.map(fieldsOf) : [];
  const sum = (of: (model: Fields) => unknown) =>
    all.reduce((total, model) => total + Number(of(model) ?? 0), 0);
  const stat = (name: string, field: 'count' | 'ns') =>
    sum((model) => fieldsOf(fieldsOf(model['inference_stats'])[name])[field]);
  return {
    inferenceCount: sum((model) => model['inference_count']),
    executionCount: sum((model) => model['execution_count']),
    successCount: stat('success', 'count'),
    queueNs: stat('queue', 'ns'),
    computeInputNs: stat('compute_input', 'ns'),
    computeInferNs: stat('compute_infer', 'ns'),
    computeOutputNs: stat('compute_output', 'count') > 0 ? stat('compute_output', 'ns') : undefined,
  };
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function isDataType(value: unknown): value is DataTypeName {
  return typeof value === 'string' && Object.hasOwn(DATA_TYPE_BYTES, value);
}

function unreadable(name: string): AxleError {
  return new AxleError(
    'INTERNAL',
    `the server's description of ${name} is not that of KServe v2; check its address`,
  );
}
