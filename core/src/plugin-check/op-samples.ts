import { gunzipSync, gzipSync } from 'node:zlib';

import { dataTypeNameOf } from '../data-types.js';
import { ArgType, Codec, DATA_TYPE_BYTES, DataType, OpFlag, OPS } from '../generated/constants.js';
import type {
  NativeArg,
  NativeArgSpec,
  NativeOpInfo,
  NativeTensorSpec,
} from '../native-binding.js';
import type { TaskCompletion, TaskInput, TaskRequest } from './plugin-under-test.js';

/** A task that an op must take, and what is known of its result. */
export interface OpSample {
  /** For messages: 'compress gzip', 'vendor.example/blur'. */
  readonly label: string;
  readonly request: TaskRequest;
  /** Op flags. */
  readonly flags: number;
  /**
   * Says what is wrong with the outputs of a task that completed OK; undefined = nothing. Absent: only their form is
   * known.
   */
  readonly problemOf?: (completion: TaskCompletion) => string | undefined;
  /** The op is the plugin's own: that these inputs make sense to it is a guess, so it may refuse them. */
  readonly mayRefuse: boolean;
}

/** Samples of an op that a plugin offers; none for one that needs a model or is a range of a chain. */
export function samplesOf(op: NativeOpInfo): OpSample[] {
  if (op.name !== '') return [customSample(op)];
  if (op.op === OPS.compress.id) return codecs.map((codec) => compressSample(op, codec));
  if (op.op === OPS.decompress.id) return [decompressSample(op)];
  if (op.op === OPS.topk.id) return [topkSample(op)];
  if (op.op === OPS.preprocess.id) return [preprocessSample(op)];
  return [];
}

const codecs = ['zstd', 'lz4', 'gzip'] as const;

/** Text with repeats and some noise, always the same. */
function text(bytes: number): Buffer {
  const data = Buffer.alloc(bytes, 'The quick brown fox jumps over the lazy dog. ');
  let seed = 1;
  for (let at = 0; at < bytes; at += 13) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    data[at] = seed >>> 24;
  }
  return data;
}

const sampleText = text(100_000);

function bytesInput(data: Uint8Array): TaskInput {
  return { name: null, dtype: DataType.UINT8, dims: [data.byteLength], data };
}

/** All of an output's bytes. */
export function outputBytes(completion: TaskCompletion, index: number): Buffer {
  const data = completion.outputs.find((output) => output.index === index)?.data ?? [];
  return data instanceof Uint8Array ? Buffer.from(data) : Buffer.concat(data);
}

function request(
  { op, version }: NativeOpInfo,
  args: readonly NativeArg[],
  inputs: readonly TaskInput[],
): TaskRequest {
  return { op, version, args, inputs };
}

function compressSample(op: NativeOpInfo, codec: (typeof codecs)[number]): OpSample {
  const magic = { zstd: 'fd2fb528', lz4: '184d2204', gzip: '' }[codec];
  return {
    label: `compress ${codec}`,
    flags: op.flags,
    mayRefuse: false,
    request: request(op, [['codec', ArgType.INT, Codec[codec]]], [bytesInput(sampleText)]),
    problemOf: (completion) => {
      const data = outputBytes(completion, 0);
      if (data.length >= sampleText.length)
        return `it made ${data.length} bytes of ${sampleText.length}`;
      if (codec === 'gzip')
        return gunzipSync(data).equals(sampleText) ? undefined : 'gunzip gives other bytes';
      const first = data.readUInt32LE(0).toString(16).padStart(8, '0');
      return first === magic ? undefined : `it begins with ${first}, not with ${codec}'s ${magic}`;
    },
  };
}

function decompressSample(op: NativeOpInfo): OpSample {
  return {
    label: 'decompress gzip',
    flags: op.flags,
    mayRefuse: false,
    request: request(op, [], [bytesInput(gzipSync(sampleText))]),
    problemOf: (completion) =>
      outputBytes(completion, 0).equals(sampleText)
        ? undefined
        : 'it gives other bytes than gunzip',
  };
}

function topkSample(op: NativeOpInfo): OpSample {
  const scores = Float32Array.of(0.1, 0.5, -1, 0.5, 0.3);
  const input = {
    name: null,
    dtype: DataType.FP32,
    dims: [scores.length],
    data: new Uint8Array(scores.buffer),
  };
  const wanted = Buffer.from(Int32Array.of(1, 3, 4).buffer);
  return {
    label: 'topk',
    flags: op.flags,
    mayRefuse: false,
    request: request(op, [['k', ArgType.INT, 3]], [input]),
    problemOf: (completion) =>
      outputBytes(completion, 0).equals(wanted) ? undefined : 'the indices are not 1, 3, 4',
  };
}

function preprocessSample(op: NativeOpInfo): OpSample {
  const pixels = Uint8Array.of(0, 51, 102, 153, 204, 255);
  const wanted = Float32Array.of(0, 0.6, 0.2, 0.8, 0.4, 1);
  const std = new Uint8Array(Float32Array.of(255, 255, 255).buffer);
  return {
    label: 'preprocess',
    flags: op.flags,
    mayRefuse: false,
    request: request(
      op,
      [['std', ArgType.BYTES, std]],
      [{ name: null, dtype: DataType.UINT8, dims: [1, 2, 3], data: pixels }],
    ),
    problemOf: (completion) => {
      const bytes = outputBytes(completion, 0);
      const values = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
      const close = wanted.every((value, i) => Math.abs(value - (values[i] ?? NaN)) < 1e-5);
      return close ? undefined : `it gives ${values.join(', ')}, not ${wanted.join(', ')}`;
    },
  };
}

/** For dimensions that may have any size: the last one, and those before it. Enough that the host copies nothing. */
const lastSize = 5000;
const anySize = 2;

function customSample(op: NativeOpInfo): OpSample {
  const args = op.args.filter(({ required }) => required).map(plainArg);
  return {
    label: op.name,
    flags: op.flags,
    mayRefuse: true,
    request: request(op, args, op.inputs.map(plainInput)),
  };
}

function plainArg({ name, type }: NativeArgSpec): NativeArg {
  const value =
    type === ArgType.BOOL
      ? false
      : type === ArgType.STRING
        ? ''
        : type === ArgType.BYTES
          ? Uint8Array.of(0)
          : 1;
  return [name, type, value];
}

function plainInput({ name, dtype, dims }: NativeTensorSpec): TaskInput {
  const last = dims.length - 1;
  const sizes = dims.map((size, i) => (size >= 0 ? size : i === last ? lastSize : anySize));
  const count = sizes.reduce((product, size) => product * size, 1);
  // Zeroed BYTES are empty strings: a length of 0 each.
  const elementBytes = DATA_TYPE_BYTES[dataTypeNameOf(dtype) ?? 'UINT8'] || 4;
  const data = new Uint8Array(count * elementBytes);
  // Bytes may have any value; of other types 0 is one that everybody understands.
  if (dtype === DataType.UINT8 || dtype === DataType.INT8) data.set(text(data.length));
  return { name: name || null, dtype, dims: sizes, data };
}

/** What a device promises of an op by its flags. */
export function isPure({ flags }: OpSample): boolean {
  return (flags & OpFlag.PURE) !== 0;
}
