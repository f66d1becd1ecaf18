import { isUtf8 } from 'node:buffer';

import { AxleError, messageOf } from '@axle/core/internal';
import protobuf from 'protobufjs/minimal.js';

import { dimensionsMax, parametersMax, tensorsMax, textCharactersMax } from '../door-limits.js';
import {
  noParameters,
  type AnswerOutput,
  type InferAnswer,
  type InferRequest,
  type ParameterValue,
  type RequestedOutput,
  type RequestInput,
} from '../kserve/infer-request.js';
import { TypedContents, TypedTotal } from './typed-contents.js';
import { countVarints, eachVarint, signedNumber } from './varints.js';

/**
 * ModelInferRequest and ModelInferResponse by hand: their tensors go in and out as they lie, without an object for each
 * element, and their counts are bounded while they are read. All other messages go by the descriptions in `proto/`.
 */

type Reader = protobuf.Reader;
type Writer = protobuf.Writer;

const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

interface InputParts {
  name: string;
  datatype: string;
  shape: number[];
  parameters: Map<string, ParameterValue> | undefined;
  contents: TypedContents | undefined;
}

/** @throws AxleError INVALID_ARGUMENT for what is no such message, or contradicts itself; RESOURCE_EXHAUSTED at a limit */
export function readInferRequest(message: Uint8Array): InferRequest {
  try {
    return readRequest(protobuf.Reader.create(message));
  } catch (error) {
    if (error instanceof AxleError) throw error;
    const why = messageOf(error);
    throw new AxleError('INVALID_ARGUMENT', `the message is no ModelInferRequest: ${why}`);
  }
}

function readRequest(reader: Reader): InferRequest {
  let [modelName, modelVersion, id] = ['', '', ''];
  let parameters: Map<string, ParameterValue> | undefined;
  const inputs: InputParts[] = [];
  const outputs: RequestedOutput[] = [];
  const raw: Uint8Array[] = [];
  const total = new TypedTotal();
  readFields(reader, reader.len, (number) => {
    if (number === 1) modelName = readText(reader);
    else if (number === 2) modelVersion = readText(reader);
    else if (number === 3) id = readText(reader);
    else if (number === 4)
      readParameter(reader, (parameters ??= new Map<string, ParameterValue>()));
    else if (number === 5) bounded(inputs).push(readInput(reader, total));
    else if (number === 6) bounded(outputs).push(readRequested(reader));
    else if (number === 7) bounded(raw).push(reader.bytes());
    else return false;
    return true;
  });
  return {
    modelName,
    modelVersion,
    id,
    parameters: parameters ?? noParameters,
    inputs: inputsOf(modelName, inputs, raw),
    outputs,
  };
}

/** Gives each input its contents. */
function inputsOf(
  model: string,
  inputs: readonly InputParts[],
  raw: readonly Uint8Array[],
): RequestInput[] {
  const elsewhere = inputs.filter(isElsewhere).length;
  if (raw.length > 0 && raw.length !== inputs.length - elsewhere) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `expected ${inputs.length - elsewhere} raw_input_contents for model '${model}', one for each input, got ${raw.length}`,
    );
  }
  let next = 0;
  return inputs.map((input) => {
    const { name, datatype, shape, parameters = noParameters, contents } = input;
    const whole = { name, datatype, shape, parameters };
    if (isElsewhere(input)) {
      if (contents === undefined) return { ...whole, data: undefined };
      throw new AxleError(
        'INVALID_ARGUMENT',
        `input '${name}' has both contents and a region of shared memory; give one`,
      );
    }
    if (raw.length === 0) return { ...whole, data: contents?.raw(name, datatype) };
    if (contents !== undefined) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `contents field must not be specified when using raw_input_contents for '${name}' for model '${model}'`,
      );
    }
    return { ...whole, data: raw[next++] };
  });
}

function isElsewhere({ parameters }: InputParts): boolean {
  return parameters?.has('shared_memory_region') ?? false;
}

function readInput(reader: Reader, total: TypedTotal): InputParts {
  const input: InputParts = {
    name: '',
    datatype: '',
    shape: [],
    parameters: undefined,
    contents: undefined,
  };
  const end = reader.uint32() + reader.pos;
  readFields(reader, end, (number, type) => {
    if (number === 1) input.name = readText(reader);
    else if (number === 2) input.datatype = readText(reader);
    else if (number === 3) readSizes(reader, type, input.shape);
    else if (number === 4)
      readParameter(reader, (input.parameters ??= new Map<string, ParameterValue>()));
    else if (number === 5) readContents(reader, (input.contents ??= new TypedContents(total)));
    else return false;
    return true;
  });
  return input;
}

function readRequested(reader: Reader): RequestedOutput {
  let name = '';
  let parameters: Map<string, ParameterValue> | undefined;
  const end = reader.uint32() + reader.pos;
  readFields(reader, end, (number) => {
    if (number === 1) name = readText(reader);
    else if (number === 2)
      readParameter(reader, (parameters ??= new Map<string, ParameterValue>()));
    else return false;
    return true;
  });
  return { name, parameters: parameters ?? noParameters };
}

function readSizes(reader: Reader, type: number, shape: number[]): void {
  const piece = type === wire.bytes ? reader.bytes() : readVarintBytes(reader);
  if (countVarints([piece], dimensionsMax) + shape.length > dimensionsMax) {
    throw tooMany(`an input has more than ${dimensionsMax} dimensions`);
  }
  eachVarint([piece], (low, high) => shape.push(signedNumber(low, high)));
}

function readContents(reader: Reader, contents: TypedContents): void {
  const end = reader.uint32() + reader.pos;
  readFields(reader, end, (number, type) => {
    if (type === wire.bytes) contents.add(number, reader.bytes());
    else if (type === wire.varint) contents.add(number, readVarintBytes(reader));
    else contents.add(number, take(reader, type === wire.fixed32 ? 4 : 8));
    return true;
  });
}

/** An entry of a map. No encoder writes a name twice; that a stranger does it millions of times, nobody waits for. */
function readParameter(reader: Reader, into: Map<string, ParameterValue>): void {
  let name = '';
  let value: ParameterValue | undefined;
  const end = reader.uint32() + reader.pos;
  readFields(reader, end, (number) => {
    if (number === 1) name = readText(reader);
    else if (number === 2) value = readParameterValue(reader);
    else return false;
    return true;
  });
  if (into.has(name)) {
    throw new AxleError('INVALID_ARGUMENT', `parameter '${name}' is there twice; give it once`);
  }
  if (into.size >= parametersMax) throw tooMany(`there are more than ${parametersMax} parameters`);
  if (value !== undefined) into.set(name, value);
}

function readParameterValue(reader: Reader): ParameterValue | undefined {
  let value: ParameterValue | undefined;
  const end = reader.uint32() + reader.pos;
  readFields(reader, end, (number) => {
    if (number === 1) value = reader.bool();
    else if (number === 2) value = readWhole(reader, true);
    else if (number === 3) value = readText(reader);
    else if (number === 4) value = reader.double();
    else if (number === 5) value = readWhole(reader, false);
    else return false;
    return true;
  });
  return value;
}

function readWhole(reader: Reader, isSigned: boolean): number | bigint {
  let value = 0n;
  eachVarint([readVarintBytes(reader)], (low, high) => {
    value = (BigInt(isSigned ? high : high >>> 0) << 32n) | BigInt(low >>> 0);
  });
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** @param take reads a field by its number, and says whether it knew it */
function readFields(
  reader: Reader,
  end: number,
  take: (number: number, type: number) => boolean,
): void {
  if (end > reader.len) throw new AxleError('INVALID_ARGUMENT', 'the message ends too early');
  while (reader.pos < end) {
    const tag = reader.uint32();
    const type = tag & 7;
    if (!take(tag >>> 3, type)) reader.skipType(type);
  }
  if (reader.pos !== end) throw new AxleError('INVALID_ARGUMENT', 'the message is cut wrongly');
}

function readText(reader: Reader): string {
  // Its own way to read text takes what is there of one that ends too early.
  const bytes = reader.bytes() as Buffer;
  if (!isUtf8(bytes)) throw new AxleError('INVALID_ARGUMENT', 'a name or text is no UTF-8');
  const text = bytes.toString('utf8');
  if (text.length <= textCharactersMax) return text;
  throw tooMany(`a name or text has ${text.length} characters; ${textCharactersMax} are the most`);
}

function readVarintBytes(reader: Reader): Uint8Array {
  const from = reader.pos;
  reader.skip();
  return reader.buf.subarray(from, reader.pos);
}

function take(reader: Reader, bytes: number): Uint8Array {
  const from = reader.pos;
  reader.skip(bytes);
  return reader.buf.subarray(from, reader.pos);
}

/** A list that one more may be added to. */
function bounded<T>(list: T[]): T[] {
  if (list.length < tensorsMax) return list;
  throw tooMany(`the request has more than ${tensorsMax} inputs or outputs`);
}

function tooMany(message: string): AxleError {
  return new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
}

/** A ModelInferResponse with raw contents. */
export function writeInferResponse(answer: InferAnswer): Buffer {
  return finished(writeAnswer(protobuf.Writer.create(), answer));
}

/** What a request of a ModelStreamInfer failed with. */
export interface StreamRefusal {
  readonly error: AxleError;
  /** Of the request; '' where it has none, or could not be read. */
  readonly id: string;
}

/** One answer of a ModelStreamInfer: of one that failed the id is there, too, as in Triton. */
export function writeStreamAnswer(answer: InferAnswer | StreamRefusal): Buffer {
  const writer = protobuf.Writer.create();
  if ('error' in answer) {
    const { error, id } = answer;
    writer.uint32(tag(1)).string(error.message);
    if (id !== '') writer.uint32(tag(2)).fork().uint32(tag(3)).string(id).ldelim();
    return finished(writer);
  }
  return finished(writeAnswer(writer.uint32(tag(2)).fork(), answer).ldelim());
}

function writeAnswer(writer: Writer, answer: InferAnswer): Writer {
  const { modelName, modelVersion, id, parameters, outputs } = answer;
  writer.uint32(tag(1)).string(modelName).uint32(tag(2)).string(modelVersion);
  if (id !== '') writer.uint32(tag(3)).string(id);
  for (const parameter of parameters) writeParameter(writer.uint32(tag(4)).fork(), parameter);
  for (const output of outputs) writeOutput(writer.uint32(tag(5)).fork(), output);
  // Clients count the entries: one that is in shared memory is there, and empty.
  for (const { tensor, elsewhere } of outputs) {
    writer.uint32(tag(6)).bytes(elsewhere === undefined ? tensor.bytes : nothing);
  }
  return writer;
}

const nothing = new Uint8Array(0);

function writeOutput(writer: Writer, { name, tensor, elsewhere }: AnswerOutput): void {
  writer.uint32(tag(1)).string(name).uint32(tag(2)).string(tensor.dtype);
  writer.uint32(tag(3)).fork();
  for (const size of tensor.shape) writer.int64(size);
  writer.ldelim();
  for (const parameter of elsewhere ?? []) writeParameter(writer.uint32(tag(4)).fork(), parameter);
  writer.ldelim();
}

function writeParameter(writer: Writer, [name, value]: [string, ParameterValue]): void {
  writer.uint32(tag(1)).string(name).uint32(tag(2)).fork();
  if (typeof value === 'boolean') writer.uint32(tag(1, wire.varint)).bool(value);
  else if (typeof value === 'string') writer.uint32(tag(3)).string(value);
  else if (Number.isSafeInteger(value)) writer.uint32(tag(2, wire.varint)).int64(Number(value));
  else writer.uint32(tag(4, wire.fixed64)).double(Number(value));
  writer.ldelim().ldelim();
}

function tag(number: number, type: number = wire.bytes): number {
  return (number << 3) | type;
}

/** In Node, the bytes are a Buffer. */
function finished(writer: Writer): Buffer {
  return writer.finish() as Buffer;
}
