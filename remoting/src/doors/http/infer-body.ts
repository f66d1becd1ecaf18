import { AxleError } from '@axle/core/internal';

import { parametersMax, tensorsMax, textCharactersMax, type DoorLimits } from '../door-limits.js';
import {
  noParameters,
  type InferRequest,
  type Parameters,
  type ParameterValue,
  type RequestedOutput,
  type RequestInput,
} from '../kserve/infer-request.js';
import { checkDimensions } from '../kserve/data-types.js';
import { countOf, flagOf } from '../kserve/parameters.js';
import { isText, isWellFormed, numberOf, parseJson } from './json.js';
import { rawOfJson } from './json-tensors.js';

export interface InferBody {
  readonly request: InferRequest;
  /** Of outputs that do not say it themselves. */
  readonly answersBinary: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

/** The JSON of an inference: a plain object, so that another thread may have read it. */
export interface InferJson {
  readonly id: string;
  readonly parameters: Parameters;
  readonly inputs: readonly InputJson[];
  readonly outputs: readonly RequestedOutput[];
}

interface InputJson extends RequestInput {
  /** Of the raw tensor that follows the JSON. */
  readonly binaryBytes: number | undefined;
}

/** For whom a body is. */
export interface ModelPath {
  readonly model: string;
  readonly version: string;
}

/**
 * The body of an inference: JSON, and behind it, with the binary tensor extension, the raw tensors that it announces.
 *
 * @param header Inference-Header-Content-Length; undefined: all of the body is JSON
 * @throws AxleError INVALID_ARGUMENT, RESOURCE_EXHAUSTED
 */
export function readInferBody(
  body: Buffer,
  header: string | undefined,
  path: ModelPath,
  limits: DoorLimits,
): InferBody {
  const length = jsonLengthOf(body, header);
  const json = readInferJson(body.subarray(0, length), limits.jsonBytesMax);
  return withBinary(json, body.subarray(length), path);
}

/** @throws AxleError INVALID_ARGUMENT for a header that cannot be true. */
export function jsonLengthOf({ byteLength }: Uint8Array, header: string | undefined): number {
  const length = header === undefined ? byteLength : Number(header);
  if (/^\d{0,15}$/.test(header ?? '') && length <= byteLength) return length;
  throw wrong(
    `Inference-Header-Content-Length is not the length of the JSON in a body of ${byteLength} bytes`,
  );
}

/** @throws AxleError INVALID_ARGUMENT, RESOURCE_EXHAUSTED */
export function readInferJson(json: Uint8Array, bytesMax: number): InferJson {
  const fields = objectOf(parseJson(json, bytesMax), 'the request');
  return {
    id: fields['id'] === undefined ? '' : textOf(fields['id'], 'id'),
    parameters: parametersOf(fields['parameters']),
    inputs: listOf(fields['inputs'], 'inputs').map(readInput),
    outputs:
      fields['outputs'] === undefined ? [] : listOf(fields['outputs'], 'outputs').map(readOutput),
  };
}

/** @throws AxleError INVALID_ARGUMENT for other tensors than the JSON announces. */
export function withBinary(json: InferJson, binary: Uint8Array, path: ModelPath): InferBody {
  const { id, parameters, outputs } = json;
  const parts = new BinaryParts(binary);
  const inputs = json.inputs.map(({ name, datatype, shape, parameters, binaryBytes, data }) => ({
    name,
    datatype,
    shape,
    parameters,
    data: binaryBytes === undefined ? data : parts.take(name, binaryBytes),
  }));
  parts.end();
  const { model: modelName, version: modelVersion } = path;
  return {
    request: { modelName, modelVersion, id, parameters, inputs, outputs },
    answersBinary: flagOf(parameters, 'binary_data_output'),
  };
}

/** What follows the JSON, cut as inputs announce it. */
class BinaryParts {
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  take(input: string, length: number): Uint8Array {
    const left = this.bytes.byteLength - this.at;
    if (length > left) {
      throw wrong(
        `input '${input}' announces ${length} bytes of binary data, and ${left} follow; the body ends too early`,
      );
    }
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  end(): void {
    const left = this.bytes.byteLength - this.at;
    if (left > 0) throw wrong(`${left} bytes follow the tensors that the request announces`);
  }
}

function readInput(value: unknown): InputJson {
  const fields = objectOf(value, 'an input');
  const name = textOf(fields['name'], 'name of an input');
  const datatype = textOf(fields['datatype'], `datatype of input '${name}'`);
  const shape = shapeOf(name, fields['shape']);
  const parameters = parametersOf(fields['parameters']);
  const binaryBytes = countOf(parameters, 'binary_data_size');
  const { data } = fields;
  if (binaryBytes !== undefined && data !== undefined) {
    throw wrong(`input '${name}' has both data and binary_data_size; give one`);
  }
  const raw = data === undefined ? undefined : rawOfJson(name, datatype, data);
  return { name, datatype, shape, parameters, binaryBytes, data: raw };
}

function shapeOf(input: string, value: unknown): number[] {
  const sizes = Array.isArray(value) ? value.map(numberOf) : [undefined];
  if (sizes.includes(undefined))
    throw wrong(`the shape of input '${input}' is no array of numbers`);
  const shape = sizes.map(Number);
  checkDimensions(input, shape);
  return shape;
}

function readOutput(value: unknown): RequestedOutput {
  const fields = objectOf(value, 'an output');
  const name = textOf(fields['name'], 'name of an output');
  return { name, parameters: parametersOf(fields['parameters']) };
}

function parametersOf(value: unknown): Parameters {
  if (value === undefined) return noParameters;
  const entries = Object.entries(objectOf(value, 'parameters'));
  if (entries.length > parametersMax) {
    throw tooMany(`there are more than ${parametersMax} parameters`);
  }
  return new Map(
    entries.map(([name, each]): [string, ParameterValue] => {
      if (isText(each)) return [name, textOf(each, `parameter '${name}'`)];
      const value = typeof each === 'boolean' ? each : numberOf(each);
      if (value !== undefined) return [name, value];
      throw wrong(`parameter '${name}' is no text, number or boolean`);
    }),
  );
}

function objectOf(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw wrong(`${what} is no object of JSON`);
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(`'${what}' is missing or no array`);
  if (value.length > tensorsMax) throw tooMany(`the request has more than ${tensorsMax} ${what}`);
  return value;
}

function textOf(value: unknown, what: string): string {
  if (!isText(value)) throw wrong(`the ${what} is no text`);
  if (!isWellFormed(value)) throw wrong(`the ${what} has half a surrogate pair`);
  if (value.length <= textCharactersMax) return value;
  throw tooMany(`the ${what} has ${value.length} characters; ${textCharactersMax} are the most`);
}

function wrong(message: string): AxleError {
  return new AxleError('INVALID_ARGUMENT', message);
}

function tooMany(message: string): AxleError {
  return new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
}
