import { adoptTensor, AxleError, type DataTypeName, type Tensor } from '@axle/core/internal';

import { jsonValuesMax } from '../door-limits.js';
import type { AnswerOutput, InferAnswer, Parameters } from '../kserve/infer-request.js';
import { flagOf } from '../kserve/parameters.js';
import { jsonOf } from './json-tensors.js';

/** What goes back for an inference. */
export interface WrittenAnswer {
  readonly headers: Readonly<Record<string, string | number>>;
  /** In their order: JSON, then tensors as they lie. */
  readonly pieces: readonly Uint8Array[];
}

/** The JSON of an answer before it is written: a plain object, so that another thread may write it. */
export interface AnswerJson {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id: string;
  readonly parameters: Parameters;
  readonly outputs: readonly OutputJson[];
}

export interface OutputJson {
  readonly name: string;
  readonly dtype: DataTypeName;
  readonly shape: readonly number[];
  readonly contents: Contents;
}

type Contents =
  /** So many, behind the JSON. */
  | { readonly kind: 'follows'; readonly bytes: number }
  | { readonly kind: 'parameters'; readonly parameters: Parameters }
  | { readonly kind: 'data'; readonly bytes: Uint8Array };

/** An answer of which nothing is written yet. */
export interface PlannedAnswer {
  readonly json: AnswerJson;
  /** Of tensors that are to be in the JSON. */
  readonly jsonDataBytes: number;
  /** What follows it. */
  readonly binary: readonly Uint8Array[];
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
  const { json, binary } = planAnswer(answer, answersBinary, jsonBytesMax);
  return withTensors(writeJson(json), binary);
}

/** What of an answer is JSON, and what follows it. @throws AxleError RESOURCE_EXHAUSTED for too much JSON. */
export function planAnswer(
  { modelName, modelVersion, id, parameters, outputs }: InferAnswer,
  answersBinary: boolean,
  jsonBytesMax: number,
): PlannedAnswer {
  const isBinary = (asked: Parameters) => flagOf(asked, 'binary_data', answersBinary);
  const inJson = outputs.filter((each) => each.elsewhere === undefined && !isBinary(each.asked));
  const jsonDataBytes = checkJson(inJson, jsonBytesMax);
  const binary: Uint8Array[] = [];
  const planned = outputs.map(({ name, tensor, asked, elsewhere }): OutputJson => {
    const { dtype, shape } = tensor;
    if (elsewhere !== undefined) {
      return { name, dtype, shape, contents: { kind: 'parameters', parameters: elsewhere } };
    }
    if (isBinary(asked)) {
      binary.push(...tensor.segments);
      return { name, dtype, shape, contents: { kind: 'follows', bytes: tensor.byteLength } };
    }
    return { name, dtype, shape, contents: { kind: 'data', bytes: tensor.bytes } };
  });
  return {
    json: { modelName, modelVersion, id, parameters, outputs: planned },
    jsonDataBytes,
    binary,
  };
}

/** @throws AxleError FAILED_PRECONDITION for an output that JSON cannot hold. */
export function writeJson({
  modelName,
  modelVersion,
  id,
  parameters,
  outputs,
}: AnswerJson): Uint8Array {
  const itsId = id === '' ? '' : `"id":${JSON.stringify(id)},`;
  const told = parameters.size === 0 ? '' : `"parameters":${parametersOf(parameters)},`;
  const model = `"model_name":${JSON.stringify(modelName)},"model_version":${JSON.stringify(modelVersion)}`;
  return Buffer.from(`{${model},${itsId}${told}"outputs":[${outputs.map(outputOf).join(',')}]}`);
}

function parametersOf(parameters: Parameters): string {
  return JSON.stringify(Object.fromEntries(parameters));
}

export function withTensors(json: Uint8Array, binary: readonly Uint8Array[]): WrittenAnswer {
  if (binary.length === 0)
    return { headers: { 'content-type': 'application/json' }, pieces: [json] };
  return {
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': json.byteLength,
    },
    pieces: [json, ...binary],
  };
}

/** @returns how many bytes they have. @throws AxleError RESOURCE_EXHAUSTED */
function checkJson(outputs: readonly AnswerOutput[], bytesMax: number): number {
  const bytes = outputs.reduce((sum, { tensor }) => sum + tensor.byteLength, 0);
  const values = outputs.reduce((sum, { tensor }) => sum + countOf(tensor), 0);
  if (values > jsonValuesMax) {
    throw new AxleError(
      'RESOURCE_EXHAUSTED',
      `the outputs have ${values} elements, and ${jsonValuesMax} are the most in JSON; ask for them as binary data`,
      { retryable: false },
    );
  }
  if (bytes <= bytesMax) return bytes;
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
function outputOf({ name, dtype, shape, contents }: OutputJson): string {
  const head = `{"name":${JSON.stringify(name)},"datatype":"${dtype}","shape":[${shape.join(',')}]`;
  switch (contents.kind) {
    case 'follows':
      return `${head},"parameters":{"binary_data_size":${contents.bytes}}}`;
    case 'parameters':
      return `${head},"parameters":${parametersOf(contents.parameters)}}`;
    case 'data':
      return `${head},"data":${jsonOf(name, adoptTensor(dtype, [contents.bytes], shape))}}`;
  }
}
