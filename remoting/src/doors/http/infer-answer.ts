import { AxleError, type Tensor } from '@axle/core/internal';

import { jsonValuesMax } from '../door-limits.js';
import type { AnswerOutput, InferAnswer } from '../kserve/infer-request.js';
import { flagOf } from '../kserve/parameters.js';
import { jsonOf } from './json-tensors.js';

/** What goes back for an inference. */
export interface WrittenAnswer {
  readonly headers: Readonly<Record<string, string | number>>;
  /** In their order: JSON, then tensors as they lie. */
  readonly pieces: readonly Uint8Array[];
}

/**
 * @param answersBinary of outputs that do not say it themselves
 * @param jsonBytesMax of tensors that are written in JSON, as they lie
 * @throws AxleError FAILED_PRECONDITION for an output that JSON cannot hold; RESOURCE_EXHAUSTED.
 */
export function writeAnswer(
  answer: InferAnswer,
  answersBinary: boolean,
  jsonBytesMax: number,
): WrittenAnswer {
  const { modelName, modelVersion, id, parameters, outputs } = answer;
  const binary = outputs.filter(
    ({ asked, elsewhere }) =>
      elsewhere === undefined && flagOf(asked, 'binary_data', answersBinary),
  );
  checkJson(
    outputs.filter((output) => output.elsewhere === undefined && !binary.includes(output)),
    jsonBytesMax,
  );
  const fields = [
    `"model_name":${JSON.stringify(modelName)}`,
    `"model_version":${JSON.stringify(modelVersion)}`,
    ...(id === '' ? [] : [`"id":${JSON.stringify(id)}`]),
    ...(parameters.size === 0
      ? []
      : [`"parameters":${JSON.stringify(Object.fromEntries(parameters))}`]),
    `"outputs":[${outputs.map((output) => outputOf(output, binary.includes(output))).join(',')}]`,
  ];
  const json = Buffer.from(`{${fields.join(',')}}`);
  if (binary.length === 0)
    return { headers: { 'content-type': 'application/json' }, pieces: [json] };
  return {
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': json.byteLength,
    },
    pieces: [json, ...binary.flatMap(({ tensor }) => tensor.segments)],
  };
}

/** Writing it keeps all others waiting. */
function checkJson(outputs: readonly AnswerOutput[], bytesMax: number): void {
  const bytes = outputs.reduce((sum, { tensor }) => sum + tensor.byteLength, 0);
  const values = outputs.reduce((sum, { tensor }) => sum + countOf(tensor), 0);
  if (values > jsonValuesMax) {
    throw new AxleError(
      'RESOURCE_EXHAUSTED',
      `the outputs have ${values} elements, and ${jsonValuesMax} are the most in JSON; ask for them as binary data`,
      { retryable: false },
    );
  }
  if (bytes <= bytesMax) return;
  throw new AxleError(
    'RESOURCE_EXHAUSTED',
    `the outputs have ${bytes} bytes, and ${bytesMax} are the most in JSON; ask for them as binary data`,
    { retryable: false },
  );
}

function countOf({ shape }: Tensor): number {
  return shape.reduce((count, size) => count * size, 1);
}

/** Numbers are written here, since JSON.stringify has none of 64 bits. */
function outputOf({ name, tensor, elsewhere }: AnswerOutput, isBinary: boolean): string {
  const { dtype, shape } = tensor;
  const contents =
    elsewhere !== undefined
      ? `"parameters":${JSON.stringify(Object.fromEntries(elsewhere))}`
      : isBinary
        ? `"parameters":{"binary_data_size":${tensor.byteLength}}`
        : `"data":${jsonOf(name, tensor)}`;
  return `{"name":${JSON.stringify(name)},"datatype":"${dtype}","shape":[${shape.join(',')}],${contents}}`;
}
