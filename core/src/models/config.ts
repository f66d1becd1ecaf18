import type { TensorSpec } from '../backend.js';
import { AxleError } from '../errors.js';
import { DataType, type DataTypeName } from '../generated/constants.js';
import { priorityLevelsMax } from '../scheduling/priority-levels.js';
import { axleParameters, isUnknownParameter } from './axle-parameters.js';
import { parseTextProto, type TextMessage, type TextValue } from './text-proto.js';

/**
 * The part of Triton's model configuration (`config.pbtxt`) that Axle reads. Fields that it does not know are ignored,
 * so that a repository made for Triton works; a field that it knows must be well-formed, and one without which calls
 * would get other results, or be served in another order, is refused.
 */
export interface ModelConfig {
  readonly name: string | undefined;
  /**
   * Items of different calls that run together at most; 0: dimension 0 of the tensors is no batch. Unlike in Triton a
   * single call may have more: it runs alone.
   */
  readonly maxBatchSize: number | undefined;
  /** Without the batch dimension when `maxBatchSize` is over 0. */
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly OutputConfig[];
  readonly parameters: Readonly<Record<string, string>>;
  /** Undefined: tasks are not batched. */
  readonly dynamicBatching: DynamicBatching | undefined;
  readonly instanceGroups: readonly InstanceGroup[];
  readonly warmUps: readonly WarmUp[];
  /** Undefined: the latest version runs, and any other that is asked for. */
  readonly versionPolicy: VersionPolicy | undefined;
}

export interface OutputConfig extends TensorSpec {
  /** One label a line, relative to the model's folder. */
  readonly labelFile: string | undefined;
}

export interface DynamicBatching {
  /** Ascending. */
  readonly preferredBatchSizes: readonly number[];
  readonly maxQueueDelayMs: number;
  readonly preserveOrdering: boolean;
  readonly queuePolicy: QueuePolicy;
  /** Undefined: calls of all priorities wait in one queue. */
  readonly priorityLevels: PriorityLevelsConfig | undefined;
}

/** Triton's `priority_levels`: 1 goes first, and each has a queue of its own. */
export interface PriorityLevelsConfig {
  readonly count: number;
  readonly defaultLevel: number;
  /** By level, ascending; the others have `queuePolicy`. */
  readonly queuePolicies: readonly { readonly level: number; readonly policy: QueuePolicy }[];
}

/** Triton's `default_queue_policy`. */
export interface QueuePolicy {
  /** Tasks that may wait on a device; 0 = only the device's own bound holds. */
  readonly maxQueueSize: number;
  /** 0 = none. */
  readonly timeoutMs: number;
  readonly timeoutAction: 'reject' | 'delay';
}

/** How many batches of the model run at once on a device of the kind. */
export interface InstanceGroup {
  readonly kind: 'CPU' | 'GPU' | 'any';
  readonly count: number;
}

/** A run of made-up input before the first call: Triton's `model_warmup`. */
export interface WarmUp {
  readonly name: string;
  /** Items. */
  readonly batchSize: number;
  readonly runs: number;
  readonly inputs: readonly WarmUpInput[];
}

/** Without the batch dimension when the model has one. */
export interface WarmUpInput extends TensorSpec {
  readonly data: 'zero' | 'random';
}

export type VersionPolicy =
  | { readonly kind: 'latest'; readonly count: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'specific'; readonly versions: readonly string[] };

/** What a model without a config.pbtxt has. */
export const emptyModelConfig: ModelConfig = {
  name: undefined,
  maxBatchSize: undefined,
  inputs: [],
  outputs: [],
  parameters: {},
  dynamicBatching: undefined,
  instanceGroups: [],
  warmUps: [],
  versionPolicy: undefined,
};

/** @throws AxleError INVALID_ARGUMENT naming the file, and the line or field. */
export function parseModelConfig(text: string, fileName: string): ModelConfig {
  const fields = new FieldReader(parseTextProto(text, fileName), fileName);
  checkServed(fields);
  return {
    name: fields.string('name'),
    maxBatchSize: readMaxBatchSize(fields),
    inputs: fields.messages('input').map(readTensorSpec),
    outputs: fields.messages('output').map((output) => ({
      ...readTensorSpec(output),
      labelFile: output.string('label_filename'),
    })),
    parameters: readParameters(fields),
    dynamicBatching: readDynamicBatching(fields.message('dynamic_batching')),
    instanceGroups: fields.messages('instance_group').map(readInstanceGroup),
    warmUps: fields.messages('model_warmup').map(readWarmUp),
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

  flag(name: string): boolean | undefined {
    const word = this.word(name);
    if (word === undefined) return undefined;
    if (word === 'true' || word === 'false') return word === 'true';
    throw this.error(name, 'true or false');
  }

  /** What the enum value stands for. */
  oneOf<T extends string>(name: string, meanings: Readonly<Record<string, T>>): T | undefined {
    const word = this.word(name);
    if (word === undefined) return undefined;
    const meaning = Object.hasOwn(meanings, word) ? meanings[word] : undefined;
    if (meaning !== undefined) return meaning;
    throw this.error(name, Object.keys(meanings).join(' or '));
  }

  message(name: string): FieldReader | undefined {
    const value = this.single(name);
    return value === undefined ? undefined : this.nested(name, value);
  }

  messages(name: string): FieldReader[] {
    return (this.fields.get(name) ?? []).map((value) => this.nested(name, value));
  }

  has(name: string): boolean {
    return this.single(name) !== undefined;
  }

  error(name: string, expected: string): AxleError {
    return new AxleError('INVALID_ARGUMENT', `${this.where}: field '${name}' takes ${expected}`);
  }

  unsupported(name: string, why: string): AxleError {
    return new AxleError(
      'INVALID_ARGUMENT',
      `${this.where}: field '${name}' is not supported: ${why}`,
    );
  }

  private single(name: string): TextValue | undefined {
    return this.fields.get(name)?.at(-1);
  }

  private nested(name: string, value: TextValue): FieldReader {
    if (value.kind !== 'message') throw this.error(name, 'a message in { }');
    return new FieldReader(value.value, `${this.where}: ${name}`);
  }
}

/** What Triton runs ONNX models by. */
const platforms = { platform: 'onnxruntime_onnx', backend: 'onnxruntime' } as const;

/** Refuses what would run as another model than the config describes. */
function checkServed(fields: FieldReader): void {
  for (const name of ['platform', 'backend'] as const) {
    const value = fields.string(name);
    if (value && value !== platforms[name]) {
      throw fields.error(name, `"${platforms[name]}", not "${value}": Axle runs ONNX models`);
    }
  }
  if (fields.has('sequence_batching')) {
    const advice = 'keep the state in inputs and outputs of the model, and pass it on by the calls';
    throw fields.unsupported('sequence_batching', advice);
  }
  if (fields.has('ensemble_scheduling')) {
    const advice = 'call its models one after another, or export them as one';
    throw fields.unsupported('ensemble_scheduling', advice);
  }
}

/** The field is an int32 of Triton's. */
const maxBatchSizeMax = 2 ** 31 - 1;

function readMaxBatchSize(fields: FieldReader): number | undefined {
  const size = fields.count('max_batch_size');
  if (size === undefined || size <= maxBatchSizeMax) return size;
  throw fields.error('max_batch_size', `at most ${maxBatchSizeMax}`);
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
    if (isUnknownParameter(key)) {
      throw entry.error('key', `${axleParameters.join(', ')} or what is not Axle's, not '${key}'`);
    }
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
  const preferredBatchSizes = fields.integers('preferred_batch_size').sort((a, b) => a - b);
  if (preferredBatchSizes.some((size) => size < 1)) {
    throw fields.error('preferred_batch_size', 'sizes from 1 up');
  }
  const preserveOrdering = fields.flag('preserve_ordering') ?? false;
  const queuePolicy = readQueuePolicy(fields.message('default_queue_policy'));
  const priorityLevels = readPriorityLevels(fields);
  if (preserveOrdering && queuePolicy.timeoutAction === 'delay') {
    throw fields.error('preserve_ordering', 'no timeout_action DELAY beside it: all would wait');
  }
  if (preserveOrdering && (priorityLevels?.count ?? 1) > 1) {
    throw fields.error(
      'preserve_ordering',
      'one priority level beside it: results of the first would wait for those of the last',
    );
  }
  return { preferredBatchSizes, maxQueueDelayMs, preserveOrdering, queuePolicy, priorityLevels };
}

function readPriorityLevels(fields: FieldReader): PriorityLevelsConfig | undefined {
  const count = fields.count('priority_levels') ?? 0;
  const defaultLevel = fields.count('default_priority_level') ?? 0;
  const entries = fields.messages('priority_queue_policy');
  if (count === 0) {
    if (defaultLevel === 0 && entries.length === 0) return undefined;
    throw fields.error(
      'priority_levels',
      'their number, where there are policies or a default of them',
    );
  }
  if (count > priorityLevelsMax) {
    throw fields.error('priority_levels', `at most ${priorityLevelsMax}`);
  }
  if (defaultLevel < 1 || defaultLevel > count) {
    throw fields.error('default_priority_level', `a level from 1 to ${count}`);
  }
  return { count, defaultLevel, queuePolicies: readLevelPolicies(entries, count) };
}

function readLevelPolicies(
  entries: readonly FieldReader[],
  count: number,
): PriorityLevelsConfig['queuePolicies'] {
  const policies = new Map<number, QueuePolicy>();
  for (const entry of entries) {
    const level = entry.count('key') ?? 0;
    if (level < 1 || level > count) throw entry.error('key', `a level from 1 to ${count}`);
    policies.set(level, readQueuePolicy(entry.message('value')));
  }
  const byLevel = [...policies].map(([level, policy]) => ({ level, policy }));
  return byLevel.sort((a, b) => a.level - b.level);
}

function readQueuePolicy(fields: FieldReader | undefined): QueuePolicy {
  if (fields === undefined) return { maxQueueSize: 0, timeoutMs: 0, timeoutAction: 'reject' };
  return {
    maxQueueSize: fields.count('max_queue_size') ?? 0,
    timeoutMs: (fields.count('default_timeout_microseconds') ?? 0) / 1000,
    timeoutAction: fields.oneOf('timeout_action', { REJECT: 'reject', DELAY: 'delay' }) ?? 'reject',
  };
}

/** Instances of one group: more than any device runs at once. */
const instancesMax = 1024;

function readInstanceGroup(fields: FieldReader): InstanceGroup {
  const kinds = { KIND_AUTO: 'any', KIND_CPU: 'CPU', KIND_GPU: 'GPU', KIND_MODEL: 'any' } as const;
  const count = fields.count('count') ?? 1;
  if (count === 0 || count > instancesMax) {
    throw fields.error('count', `a whole number from 1 to ${instancesMax}`);
  }
  return { kind: fields.oneOf('kind', kinds) ?? 'any', count };
}

/** Most warm-up runs of one entry. */
const warmUpRunsMax = 1000;

function readWarmUp(fields: FieldReader): WarmUp {
  const runs = fields.count('count') ?? 1;
  if (runs > warmUpRunsMax) throw fields.error('count', `at most ${warmUpRunsMax}`);
  return {
    name: fields.string('name') ?? '',
    batchSize: fields.count('batch_size') ?? 0,
    runs: Math.max(1, runs),
    inputs: fields.messages('inputs').map(readWarmUpInput),
  };
}

function readWarmUpInput(entry: FieldReader): WarmUpInput {
  const name = entry.string('key');
  if (!name) throw entry.error('key', 'the name of the input');
  const value = entry.message('value');
  if (value === undefined) throw entry.error('value', 'what the input holds');
  const dtype = dataTypeOf(value.word('data_type') ?? '');
  if (dtype === undefined) throw value.error('data_type', 'TYPE_FP32 or another of its types');
  const shape = value.integers('dims');
  if (shape.some((size) => size < 0)) throw value.error('dims', 'sizes from 0 up');
  if (value.string('input_data_file') !== undefined) {
    throw value.error('input_data_file', 'nothing here: give zero_data or random_data instead');
  }
  return { name, dtype, shape, data: value.flag('random_data') === true ? 'random' : 'zero' };
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
