import type { TensorSpec } from '../backend.js';
import { AxleError } from '../errors.js';
import { DataType, type DataTypeName } from '../generated/constants.js';
import { parseTextProto, type TextMessage, type TextValue } from './text-proto.js';

/**
 * The part of Triton's model configuration (`config.pbtxt`) that Axle reads. `platform` and `preferredBatchSizes` are
 * checked but not acted on yet. Fields that it does not know are ignored, so that a repository made for Triton works; a
 * field that it knows must be well-formed.
 */
export interface ModelConfig {
  readonly name: string | undefined;
  readonly platform: string | undefined;
  /** 0: dimension 0 of the tensors is no batch. */
  readonly maxBatchSize: number | undefined;
  /** Without the batch dimension when `maxBatchSize` is over 0. */
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly OutputConfig[];
  readonly parameters: Readonly<Record<string, string>>;
  /** Undefined: tasks are not batched. */
  readonly dynamicBatching: DynamicBatching | undefined;
  /** Undefined: the latest version runs, and any other that is asked for. */
  readonly versionPolicy: VersionPolicy | undefined;
}

export interface OutputConfig extends TensorSpec {
  /** One label a line, relative to the model's folder. */
  readonly labelFile: string | undefined;
}

export interface DynamicBatching {
  readonly preferredBatchSizes: readonly number[];
  readonly maxQueueDelayMs: number;
}

export type VersionPolicy =
  | { readonly kind: 'latest'; readonly count: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'specific'; readonly versions: readonly string[] };

/** What a model without a config.pbtxt has. */
export const emptyModelConfig: ModelConfig = {
  name: undefined,
  platform: undefined,
  maxBatchSize: undefined,
  inputs: [],
  outputs: [],
  parameters: {},
  dynamicBatching: undefined,
  versionPolicy: undefined,
};

/** @throws AxleError INVALID_ARGUMENT naming the file, and the line or field. */
export function parseModelConfig(text: string, fileName: string): ModelConfig {
  const fields = new FieldReader(parseTextProto(text, fileName), fileName);
  return {
    name: fields.string('name'),
    platform: fields.string('platform') ?? fields.string('backend'),
    maxBatchSize: fields.count('max_batch_size'),
    inputs: fields.messages('input').map(readTensorSpec),
    outputs: fields.messages('output').map((output) => ({
      ...readTensorSpec(output),
      labelFile: output.string('label_filename'),
    })),
    parameters: readParameters(fields),
    dynamicBatching: readDynamicBatching(fields.message('dynamic_batching')),
    versionPolicy: readVersionPolicy(fields.message('version_policy')),
  };
}

/** Typed reading of one message's fields, with errors that name the field. */
class FieldReader {
  constructor(
    private readonly fields: TextMessage,
    private readonly where: string,
  ) {}

  string(name: string): string | undefined {
    const value = this.single(name);
    if (value === undefined || value.kind === 'string') return value?.value;
    throw this.error(name, 'a string in quotes');
  }

  word(name: string): string | undefined {
    const value = this.single(name);
    if (value === undefined || value.kind === 'word') return value?.value;
    throw this.error(name, 'an enum value');
  }

  count(name: string): number | undefined {
    const value = this.single(name);
    if (value === undefined) return undefined;
    if (value.kind === 'number' && Number.isSafeInteger(value.value) && value.value >= 0) {
      return value.value;
    }
    throw this.error(name, 'a whole number from 0 up');
  }

  integers(name: string): number[] {
    return (this.fields.get(name) ?? []).map((value) => {
      if (value.kind === 'number' && Number.isSafeInteger(value.value)) return value.value;
      throw this.error(name, 'whole numbers');
    });
  }

  message(name: string): FieldReader | undefined {
    const value = this.single(name);
    return value === undefined ? undefined : this.nested(name, value);
  }

  messages(name: string): FieldReader[] {
    return (this.fields.get(name) ?? []).map((value) => this.nested(name, value));
  }

  error(name: string, expected: string): AxleError {
    return new AxleError('INVALID_ARGUMENT', `${this.where}: field '${name}' takes ${expected}`);
  }

  private single(name: string): TextValue | undefined {
    return this.fields.get(name)?.at(-1);
  }

  private nested(name: string, value: TextValue): FieldReader {
    if (value.kind !== 'message') throw this.error(name, 'a message in { }');
    return new FieldReader(value.value, `${this.where}: ${name}`);
  }
}

function readTensorSpec(fields: FieldReader): TensorSpec {
  const name = fields.string('name');
  if (!name) throw fields.error('name', 'the name of the tensor');
  const dtype = dataTypeOf(fields.word('data_type') ?? '');
  if (dtype === undefined) throw fields.error('data_type', 'TYPE_FP32 or another of its types');
  const shape = fields.integers('dims');
  if (shape.some((size) => size < -1)) throw fields.error('dims', 'sizes from 0 up, or -1 for any');
  return { name, dtype, shape };
}

function dataTypeOf(word: string): DataTypeName | undefined {
  const name = word.replace(/^TYPE_/, '');
  if (name === 'STRING') return 'BYTES';
  return Object.hasOwn(DataType, name) ? (name as DataTypeName) : undefined;
}

function readParameters(fields: FieldReader): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const entry of fields.messages('parameters')) {
    const key = entry.string('key');
    if (!key) throw entry.error('key', 'the name of the parameter');
    parameters[key] = entry.message('value')?.string('string_value') ?? '';
  }
  return parameters;
}

/** Longest that a task may wait for others, milliseconds. */
const queueDelayMsMax = 60_000;

function readDynamicBatching(fields: FieldReader | undefined): DynamicBatching | undefined {
  if (fields === undefined) return undefined;
  const maxQueueDelayMs = (fields.count('max_queue_delay_microseconds') ?? 0) / 1000;
  if (maxQueueDelayMs > queueDelayMsMax) {
    throw fields.error('max_queue_delay_microseconds', `at most ${queueDelayMsMax * 1000}`);
  }
  return { preferredBatchSizes: fields.integers('preferred_batch_size'), maxQueueDelayMs };
}

function readVersionPolicy(fields: FieldReader | undefined): VersionPolicy | undefined {
  if (fields === undefined) return undefined;
  if (fields.message('all') !== undefined) return { kind: 'all' };
  const specific = fields.message('specific');
  if (specific !== undefined) {
    return { kind: 'specific', versions: specific.integers('versions').map(String) };
  }
  const count = fields.message('latest')?.count('num_versions') ?? 1;
  if (count === 0) throw fields.error('latest', 'num_versions from 1 up');
  return { kind: 'latest', count };
}
