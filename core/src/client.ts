import type { Readable } from 'node:stream';

import type { CodecName } from './generated/constants.js';
import type {
  ClassifyResult,
  CompressResult,
  CustomOpReport,
  DecompressResult,
  DevicesReport,
  ExplainReport,
  InferResult,
  KeptInferResult,
  KeptRunResult,
  ModelReport,
  RunResult,
} from './results.js';
import type { CodecStream } from './codec-stream.js';
import type { CodecWebStream } from './codec-web-stream.js';
import type { KeptTensor } from './kept-tensor.js';
import type { Tensor } from './tensor.js';

/**
 * Bytes of one thing: in memory, a file by path or file URL, or a stream that is read to its end. A string is always
 * a path.
 */
export type BinaryInput =
  | string
  | URL
  | ArrayBuffer
  | SharedArrayBuffer
  | ArrayBufferView
  | Readable
  | ReadableStream<Uint8Array>;

/** What every call takes. */
export interface CallOptions {
  /** Aborts the call; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Time from now in which the result is worth having, milliseconds; past it the call fails DEADLINE_EXCEEDED. */
  readonly deadlineMs?: number | undefined;
  /** Higher goes first; 0 by default, -100..100. */
  readonly priority?: number | undefined;
  /** A device by id ('cpu-fallback:0'), a backend ('cpu-fallback') or a kind ('gpu'): tried first. */
  readonly device?: string | undefined;
  /** With `device`: run there or fail, never elsewhere. */
  readonly strict?: boolean | undefined;
}

export interface ClassifyOptions extends CallOptions {
  /** A name in the repository, NAME:VERSION, or the path of a model folder or .onnx file. Default 'glyphs'. */
  readonly model?: string | URL | undefined;
  /** How many labels to give, best first. Default 1. */
  readonly topK?: number | undefined;
}

export interface InferOptions extends CallOptions {
  /**
   * Memory that `allocate` gave, for the outputs of this one call. Those that the device can lay there are views of it:
   * they are good until the memory is used again. Others come in memory of their own.
   */
  readonly into?: Uint8Array | undefined;
  /** Outputs stay where the call runs, for calls to come: they are KeptTensors. With it `into` is of no use. */
  readonly keep?: false | undefined;
}

/** Of infer that leaves its outputs where it runs. */
export interface KeepingInferOptions extends Omit<InferOptions, 'into' | 'keep'> {
  readonly keep: true;
  readonly into?: undefined;
}

/** Tensors by input name; a bare typed array or array of strings takes the shape that the model asks for. */
export type NamedInputs = Readonly<
  Record<string, Tensor | KeptTensor | ArrayBufferView | readonly string[]>
>;

export type PutOptions = Pick<CallOptions, 'signal' | 'deadlineMs'>;

export interface ExplainOptions {
  /** Of classify (default 'glyphs') and infer. */
  readonly model?: string | URL | undefined;
  readonly device?: string | undefined;
  readonly strict?: boolean | undefined;
}

/** An argument of a custom op. */
export type CustomOpArg = boolean | number | string | Uint8Array;

export interface RunOptions extends CallOptions {
  /** By name; which there are, `ops()` says. */
  readonly args?: Readonly<Record<string, CustomOpArg | undefined>> | undefined;
  /** As that of infer. */
  readonly into?: Uint8Array | undefined;
  /** As that of infer. */
  readonly keep?: false | undefined;
}

/** Of run that leaves its outputs where it runs. */
export interface KeepingRunOptions extends Omit<RunOptions, 'into' | 'keep'> {
  readonly keep: true;
  readonly into?: undefined;
}

export interface CompressOptions extends CallOptions {
  /** Default 'zstd'. */
  readonly codec?: CodecName | undefined;
  /** zstd 1..22 (default 3), lz4 1..12 (default 1), gzip 1..12 (default 6). */
  readonly level?: number | undefined;
}

export interface DecompressOptions extends CallOptions {
  /** Default: told from the first bytes. */
  readonly codec?: CodecName | undefined;
  /** Refuse to produce more than this many bytes: the guard against bombs. Default 2 GiB; of streams, none. */
  readonly outputBytesMax?: number | undefined;
}

/**
 * What a function holds. One instance serves any number of calls at once; none of them blocks the event loop.
 *
 * Memory handed in must not be changed, transferred or resized until its call has settled: it is read where it lies. A
 * call that was aborted or ran into its deadline settles at once, while the device may read on: that memory is free again
 * after `close`.
 *
 * Every call takes one input and gives one result, or takes an array and gives an array in the same order, which
 * rejects with the first failure (its `index` says whose). All calls may throw AxleError:
 *
 * - INVALID_ARGUMENT for input or options that are wrong in themselves
 * - NOT_FOUND for a model, file, op or device that is not there, PERMISSION_DENIED for a file that may not be read
 * - FAILED_PRECONDITION once the client is closed, and for a model that is not made for the call
 * - RESOURCE_EXHAUSTED at a limit, DEADLINE_EXCEEDED
 * - UNIMPLEMENTED when no device can, UNAVAILABLE when none is there
 * - CANCELLED when the client is closed meanwhile, ABORTED for a file that changes while it is read
 * - INTERNAL for a device or plugin that does not do as it should, DATA_LOSS and UNKNOWN where one says so
 *
 * and besides the reason of `signal` and, as it is, the error of a stream that is read.
 */
export interface Client extends AsyncDisposable {
  /** The best labels of an image (JPEG, PNG, WebP, GIF, AVIF, TIFF). */
  classify(input: BinaryInput, options?: ClassifyOptions): Promise<ClassifyResult>;
  classify(inputs: readonly BinaryInput[], options?: ClassifyOptions): Promise<ClassifyResult[]>;

  /**
   * Runs a model: a name in the repository, NAME:VERSION, or the path of a model folder or .onnx file. Inputs with more
   * items than the model's `maxBatchSize` are run as they are, with those of no other call.
   */
  infer(
    model: string | URL,
    inputs: NamedInputs,
    options: KeepingInferOptions,
  ): Promise<KeptInferResult>;
  infer(
    model: string | URL,
    inputs: readonly NamedInputs[],
    options: KeepingInferOptions,
  ): Promise<KeptInferResult[]>;
  infer(model: string | URL, inputs: NamedInputs, options?: InferOptions): Promise<InferResult>;
  infer(
    model: string | URL,
    inputs: readonly NamedInputs[],
    options?: InferOptions,
  ): Promise<InferResult[]>;

  /** Runs a custom op of some plugin: NAME (its highest version) or NAME@VERSION. */
  run(op: string, inputs: NamedInputs, options: KeepingRunOptions): Promise<KeptRunResult>;
  run(
    op: string,
    inputs: readonly NamedInputs[],
    options: KeepingRunOptions,
  ): Promise<KeptRunResult[]>;
  run(op: string, inputs: NamedInputs, options?: RunOptions): Promise<RunResult>;
  run(op: string, inputs: readonly NamedInputs[], options?: RunOptions): Promise<RunResult[]>;

  /** One standard stream of the codec, which its own tools read. For data past memory use `compressStream`. */
  compress(input: BinaryInput, options?: CompressOptions): Promise<CompressResult>;
  compress(inputs: readonly BinaryInput[], options?: CompressOptions): Promise<CompressResult[]>;

  /** Any zstd, lz4 or gzip stream, of whoever made it. Damaged input never gives a result. */
  decompress(input: BinaryInput, options?: DecompressOptions): Promise<DecompressResult>;
  decompress(
    inputs: readonly BinaryInput[],
    options?: DecompressOptions,
  ): Promise<DecompressResult[]>;

  /**
   * A Node Duplex that compresses in constant memory: `pipeline(source, axle.compressStream(), sink)`. Writes are
   * gathered up to `limits.streamWriteBytesMax` before a device sees them, so output comes late and in large pieces. The
   * deadline counts from here.
   *
   * From its first byte on it is one of the `limits.callsInFlightMax` calls, until it ends, is destroyed or fails, or the
   * client is closed: one that is left lying keeps its place and its memory until then. `close` fails it with CANCELLED; an
   * 'error' that nobody listens to does not end the process then.
   */
  compressStream(options?: CompressOptions): CodecStream;
  decompressStream(options?: DecompressOptions): CodecStream;

  /**
   * The same as web streams: `new Response(response.body.pipeThrough(axle.compressWebStream({ codec: 'gzip' })))`.
   * Cancelling one side or aborting the other frees the device.
   */
  compressWebStream(options?: CompressOptions): CodecWebStream;
  decompressWebStream(options?: DecompressOptions): CodecWebStream;

  /**
   * Memory for inputs, and for outputs with the option `into`, that a server on this machine shares: what lies there is
   * not copied on its way. Elsewhere, and when the server has no more of it, ordinary memory: all works the same, slower.
   * It holds whatever was there before, cannot be transferred, and goes back by itself once nothing refers to it.
   *
   * @throws AxleError INVALID_ARGUMENT for a length that is none, RESOURCE_EXHAUSTED for more than there is in one piece.
   */
  allocate(byteLength: number): Promise<Uint8Array>;

  /**
   * Keeps a tensor where calls run, for any number of them: on the server of a client of one, else as a copy in this process.
   * Its limits are `keptTensorsMax` and `keptBytesMax`; a server counts what it keeps, too.
   */
  put(tensor: Tensor, options?: PutOptions): Promise<KeptTensor>;

  /** Devices that run something, and backends that this machine cannot have with the reason. */
  devices(): Promise<DevicesReport>;
  /** The ways in which an op could run now, best first, and why devices are passed over: what the router sees. */
  explain(op: string, options?: ExplainOptions): Promise<ExplainReport>;
  /** Custom ops that the devices offer, with what each takes and gives. */
  ops(): Promise<CustomOpReport[]>;
  /** Models of the repositories. */
  models(): Promise<ModelReport[]>;
  /** One model: its inputs and outputs. It is read for this and kept for the calls to come. */
  model(model: string | URL): Promise<ModelReport>;

  /** Loads a model on the device that would run it, so that the first call finds it there. */
  prefetch(model: string | URL, options?: CallOptions): Promise<void>;

  /** Ends the session: calls in flight are aborted, devices freed. Also by `await using`. */
  close(): Promise<void>;
}
