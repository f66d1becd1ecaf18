import { AsyncResource } from 'node:async_hooks';
import { inspect } from 'node:util';

import { Cancellation } from './cancellation.js';
import {
  ClassifyCall,
  ClassifyChains,
  defaultClassifyModel,
  topKOf,
} from './calls/classify-call.js';
import {
  codecChain,
  CompressCall,
  compressChoiceOf,
  DecompressCall,
  decompressArgsOf,
  type CodecCall,
} from './calls/codec-call.js';
import { checkRunOptions, CustomOpCall } from './calls/custom-op-call.js';
import { InferCall, inferChain } from './calls/infer-call.js';
import type {
  BinaryInput,
  CallOptions,
  ClassifyOptions,
  Client,
  CompressOptions,
  DecompressOptions,
  ExplainOptions,
  NamedInputs,
  InferOptions,
  KeepingInferOptions,
  KeepingRunOptions,
  PutOptions,
  RunOptions,
} from './client.js';
import { CustomOps, describeCustomOps, noOpName } from './custom-ops.js';
import { chooseCodec, compressArgs, decompressArgs, outputBytesMaxOf } from './codec-args.js';
import type { CodecStream } from './codec-stream.js';
import { DeviceCodecStream } from './device-codec-stream.js';
import { toWebStream, type CodecWebStream } from './codec-web-stream.js';
import { argumentError } from './argument-error.js';
import { AxleError, messageOf } from './errors.js';
import type { KeptTensor } from './kept-tensor.js';
import { KeptTensors } from './kept-tensors.js';
import { knownOptions, refuseUnknownOptions } from './known-options.js';
import type { Model } from './models/model.js';
import { bytesOf } from './models/opened-models.js';
import { mapConcurrently } from './map-concurrently.js';
import type { OpArgs } from './op.js';
import { allocateMemory, oneIntoForMany } from './output-memory.js';
import { openStream } from './open-stream.js';
import type { RepositoryEntry } from './models/repository.js';
import { prefetchChain } from './prefetch-chain.js';
import type { Chain } from './plans/chain.js';
import { describeDevices } from './describe-devices.js';
import { explainChain } from './explain.js';
import type {
  CallReport,
  ClassifyResult,
  CompressResult,
  DecompressResult,
  DevicesReport,
  ExplainReport,
  CustomOpReport,
  InferResult,
  KeptInferResult,
  KeptRunResult,
  ModelReport,
  RunResult,
} from './results.js';
import { checkOptions, type Session } from './session.js';
import type { CallWork } from './session-call.js';
import { Tensor } from './tensor.js';

type AnyInferResult = InferResult | KeptInferResult;
type AnyRunResult = RunResult | KeptRunResult;

/** The client of a runtime in this process. */
export class LocalClient implements Client {
  private readonly session: Session;
  private readonly onClose: () => Promise<void>;
  private readonly classifyChains = new ClassifyChains();
  private readonly customOps = new CustomOps();
  private readonly kept: KeptTensors;
  /** Of streams that have not closed. Those that nobody wrote to are no calls yet, and their timers would hold the process. */
  private readonly streamEnds = new Set<Cancellation>();
  private closing: Promise<void> | undefined;

  /** @param onClose frees what the client alone holds, such as the runtime. */
  constructor(session: Session, onClose: () => Promise<void>) {
    this.session = session;
    this.kept = new KeptTensors(session.limits);
    this.onClose = onClose;
  }

  classify(input: BinaryInput, options?: ClassifyOptions): Promise<ClassifyResult>;
  classify(inputs: readonly BinaryInput[], options?: ClassifyOptions): Promise<ClassifyResult[]>;
  classify(
    input: BinaryInput | readonly BinaryInput[],
    options: ClassifyOptions = {},
  ): Promise<ClassifyResult | ClassifyResult[]> {
    if (!isArray(input)) return this.classifyOne(input, options);
    const check = () => topKOf(options, this.session.limits);
    return this.all(input, options, check, (one, its) => this.classifyOne(one, its));
  }

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
  infer(
    model: string | URL,
    inputs: NamedInputs | readonly NamedInputs[],
    options: InferOptions | KeepingInferOptions = {},
  ): Promise<AnyInferResult | AnyInferResult[]> {
    if (!isArray(inputs)) return this.inferOne(model, inputs, options);
    const check = () => {
      refuseUnknownOptions(options, knownOptions.infer);
      if (options.into !== undefined) throw oneIntoForMany();
    };
    return this.all(inputs, options, check, (one, its) => this.inferOne(model, one, its));
  }

  run(op: string, inputs: NamedInputs, options: KeepingRunOptions): Promise<KeptRunResult>;
  run(
    op: string,
    inputs: readonly NamedInputs[],
    options: KeepingRunOptions,
  ): Promise<KeptRunResult[]>;
  run(op: string, inputs: NamedInputs, options?: RunOptions): Promise<RunResult>;
  run(op: string, inputs: readonly NamedInputs[], options?: RunOptions): Promise<RunResult[]>;
  run(
    op: string,
    inputs: NamedInputs | readonly NamedInputs[],
    options: RunOptions | KeepingRunOptions = {},
  ): Promise<AnyRunResult | AnyRunResult[]> {
    if (typeof op !== 'string') return Promise.reject(noOpName(op));
    if (!isArray(inputs)) return this.runOne(op, inputs, options);
    const check = () => {
      checkRunOptions(options);
      if (options.into !== undefined) throw oneIntoForMany();
    };
    return this.all(inputs, options, check, (one, its) => this.runOne(op, one, its));
  }

  compress(input: BinaryInput, options?: CompressOptions): Promise<CompressResult>;
  compress(inputs: readonly BinaryInput[], options?: CompressOptions): Promise<CompressResult[]>;
  compress(
    input: BinaryInput | readonly BinaryInput[],
    options: CompressOptions = {},
  ): Promise<CompressResult | CompressResult[]> {
    if (!isArray(input)) return this.compressOne(input, options);
    const check = () => compressChoiceOf(options);
    return this.all(input, options, check, (one, its) => this.compressOne(one, its));
  }

  decompress(input: BinaryInput, options?: DecompressOptions): Promise<DecompressResult>;
  decompress(
    inputs: readonly BinaryInput[],
    options?: DecompressOptions,
  ): Promise<DecompressResult[]>;
  decompress(
    input: BinaryInput | readonly BinaryInput[],
    options: DecompressOptions = {},
  ): Promise<DecompressResult | DecompressResult[]> {
    if (!isArray(input)) return this.decompressOne(input, options);
    const check = () => decompressArgsOf(options);
    return this.all(input, options, check, (one, its) => this.decompressOne(one, its));
  }

  compressStream(options: CompressOptions = {}): CodecStream {
    checkOptions(options);
    refuseUnknownOptions(options, knownOptions.compress);
    return this.codecStream('compress', compressArgs(chooseCodec(options)), options, Infinity);
  }

  decompressStream(options: DecompressOptions = {}): CodecStream {
    checkOptions(options);
    refuseUnknownOptions(options, knownOptions.decompress);
    const outputBytesMax = outputBytesMaxOf(options) ?? Infinity;
    return this.codecStream('decompress', decompressArgs(options), options, outputBytesMax);
  }

  compressWebStream(options: CompressOptions = {}): CodecWebStream {
    return toWebStream(this.compressStream(options));
  }

  decompressWebStream(options: DecompressOptions = {}): CodecWebStream {
    return toWebStream(this.decompressStream(options));
  }

  async allocate(byteLength: number): Promise<Uint8Array> {
    this.session.checkOpen();
    return allocateMemory(this.session.runtime.registry, byteLength);
  }

  async devices(): Promise<DevicesReport> {
    this.session.checkOpen();
    const { runtime } = this.session;
    return describeDevices(runtime.registry, (device) => runtime.loadOf(device));
  }

  async explain(op: string, options: ExplainOptions = {}): Promise<ExplainReport> {
    this.session.checkOpen();
    checkOptions(options);
    refuseUnknownOptions(options, knownOptions.explain);
    if (typeof op !== 'string') throw noOpName(op);
    const { runtime } = this.session;
    const reference = options.model ?? (op === 'classify' ? defaultClassifyModel : undefined);
    const model = reference === undefined ? undefined : await this.session.model(reference);
    return explainChain(runtime, this.chainOf(op, model), model, options);
  }

  ops(): Promise<CustomOpReport[]> {
    return Promise.resolve().then(() => {
      this.session.checkOpen();
      return describeCustomOps(this.session.runtime.registry);
    });
  }

  async models(): Promise<ModelReport[]> {
    this.session.checkOpen();
    const found = await this.session.runtime.repository.list();
    const reports: ModelReport[] = [];
    // One at a time: each is read whole, and they may be large.
    for (const entry of found) reports.push(await this.describeEntry(entry));
    const { catalogue } = this.session.runtime.library;
    const elsewhere = (await catalogue?.list()) ?? [];
    const names = new Set(reports.map(({ name }) => name));
    return [...reports, ...elsewhere.filter(({ name }) => !names.has(name))];
  }

  async model(reference: string | URL): Promise<ModelReport> {
    this.session.checkOpen();
    const model = await this.session.model(reference);
    const { catalogue } = this.session.runtime.library;
    return model.isElsewhere && catalogue ? catalogue.describe(model) : describeModel(model);
  }

  async prefetch(reference: string | URL, options: CallOptions = {}): Promise<void> {
    await this.session.call('prefetch', options, async (cancellation) => {
      refuseUnknownOptions(options, knownOptions.call);
      const model = await cancellation.race(this.session.model(reference));
      await this.session.prefetch({ chain: prefetchChain(model), model }, options, cancellation);
    });
  }

  put(tensor: Tensor, options: PutOptions = {}): Promise<KeptTensor> {
    const { session, kept } = this;
    return session.call('put', options, (cancellation) => {
      refuseUnknownOptions(options, knownOptions.put);
      if (!((tensor as unknown) instanceof Tensor)) {
        throw argumentError('tensor', tensor, 'a Tensor; Tensor.from makes one');
      }
      return kept.put(session.runtime.registry, tensor, cancellation);
    });
  }

  close(): Promise<void> {
    this.session.close();
    for (const end of this.streamEnds) end.dispose();
    this.streamEnds.clear();
    this.kept.releaseAll();
    this.closing ??= this.onClose();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private classifyOne(input: BinaryInput, options: ClassifyOptions): Promise<ClassifyResult> {
    const { session } = this;
    return session.execute(
      'classify',
      options,
      new ClassifyCall(session, this.classifyChains, input, options),
    );
  }

  private inferOne(
    reference: string | URL,
    inputs: NamedInputs,
    options: InferOptions | KeepingInferOptions,
  ): Promise<AnyInferResult> {
    const call = new InferCall(this.session, reference, inputs, options, this.kept);
    return this.executeWith(inputs, 'infer', options, call);
  }

  private runOne(
    reference: string,
    inputs: NamedInputs,
    options: RunOptions | KeepingRunOptions,
  ): Promise<AnyRunResult> {
    const { customOps, session, kept } = this;
    const call = new CustomOpCall(customOps, session, reference, inputs, options, kept);
    return this.executeWith(inputs, reference, options, call);
  }

  /** What is kept and among its inputs stays until the call is over. */
  private executeWith<R>(
    inputs: NamedInputs,
    op: string,
    options: CallOptions,
    call: CallWork<R>,
  ): Promise<R> {
    let end: (() => void) | undefined;
    try {
      end = this.kept.use(inputs);
    } catch (error) {
      // Ours, or what a getter of the inputs threw.
      if (!(error instanceof Error)) throw error;
      return Promise.reject(error);
    }
    const result = this.session.execute(op, options, call);
    return end === undefined ? result : result.finally(end);
  }

  private compressOne(input: BinaryInput, options: CompressOptions): Promise<CompressResult> {
    return this.runCodec(
      'compress',
      options,
      new CompressCall(input, options, this.session.limits),
    );
  }

  private decompressOne(input: BinaryInput, options: DecompressOptions): Promise<DecompressResult> {
    const call = new DecompressCall(input, options, this.session.limits);
    return this.runCodec('decompress', options, call);
  }

  private runCodec<R>(op: string, options: CallOptions, call: CodecCall<R>): Promise<R> {
    return this.session.execute(op, options, call).catch((error: unknown) => {
      throw call.failure(error);
    });
  }

  private codecStream(
    op: 'compress' | 'decompress',
    args: OpArgs,
    options: CallOptions,
    outputBytesMax: number,
  ): CodecStream {
    this.session.checkOpen();
    const { runtime } = this.session;
    const { deadlineMs } = options;
    const deadlineAt = deadlineMs === undefined ? undefined : runtime.clock() + deadlineMs;
    const open = () => {
      this.session.checkOpen();
      return openStream(this.session, codecChain(op, args), options, deadlineAt);
    };
    // Part of the call, whoever makes the first write.
    let openInCall = open;
    const check = (bytes: number) => {
      if (bytes <= outputBytesMax) return;
      throw new AxleError(
        'RESOURCE_EXHAUSTED',
        `the output is more than ${outputBytesMax} bytes; raise outputBytesMax if that much is expected`,
        { retryable: false },
      );
    };
    // A call from the first byte on: a stream that nobody writes to takes no place among them. Whoever made the stream
    // is the caller, whoever writes to it.
    const begin = AsyncResource.bind(() => {
      void this.session
        .call(`${op}Stream`, {}, (cancellation) => {
          openInCall = AsyncResource.bind(open);
          return untilClosed(stream, op, cancellation);
        })
        .catch((error: unknown) => stream.destroy(error as Error));
    });
    const stream: CodecStream = new DeviceCodecStream(
      begin,
      () => openInCall(),
      this.session.limits,
      check,
    );
    const end = new Cancellation(options.signal, options.deadlineMs);
    end.subscribe({ cancelled: (reason) => stream.destroy(reason as Error) });
    this.streamEnds.add(end);
    stream.once('close', () => {
      this.streamEnds.delete(end);
      end.dispose();
    });
    return stream;
  }

  /** A chain of any op, for looking at: custom ops without arguments. */
  private chainOf(op: string, model: Model | undefined): Chain {
    if (op === 'compress') return codecChain(op, compressArgs(chooseCodec({})));
    if (op === 'decompress') return codecChain(op, {});
    if (op !== 'classify' && op !== 'infer') {
      if (!op.includes('/')) {
        throw new AxleError(
          'NOT_FOUND',
          `there is no op ${inspect(op, { maxStringLength: 100 })}; give classify, infer, compress, decompress or a custom op`,
        );
      }
      return this.customOps.find(this.session.runtime.registry, op).chain;
    }
    if (model === undefined) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `${op} runs a model; say which one with the option model`,
      );
    }
    return op === 'classify' ? this.classifyChains.of(model, 1) : inferChain;
  }

  private async describeEntry({ problem, ...entry }: RepositoryEntry): Promise<ModelReport> {
    const nothing = {
      format: 'onnx',
      maxBatchSize: 0,
      inputs: [],
      outputs: [],
      labels: 0,
      bytes: 0,
    };
    if (problem !== undefined) return { ...entry, ...nothing, problem: problem.message };
    try {
      return describeModel(await this.session.runtime.repository.read(`${entry.path}/`));
    } catch (error) {
      return { ...entry, ...nothing, problem: messageOf(error) };
    }
  }

  /**
   * Array in, array out, with bounded concurrency, rejecting with the first failure.
   *
   * @param check refuses options that no input can be given with: an empty array has no call that would.
   */
  private async all<I extends object | string, O, C extends CallOptions>(
    inputs: readonly I[],
    options: C,
    check: () => unknown,
    run: (one: I, options: C) => Promise<O>,
  ): Promise<O[]> {
    checkOptions(options);
    check();
    this.session.checkOpen();
    const { arrayConcurrency } = this.session.limits;
    return mapConcurrently(inputs, arrayConcurrency, options, run);
  }
}

function describeModel(model: Model): ModelReport {
  const { name, version, path, source, maxBatchSize, inputs, outputs, classify } = model;
  return {
    name,
    version,
    path,
    format: source.format,
    maxBatchSize,
    inputs,
    outputs,
    labels: classify?.labels.length ?? 0,
    bytes: bytesOf(source),
    problem: undefined,
  };
}

function isArray<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}

/** Lives as long as the stream, so that its session, signal and deadline can end it. */
function untilClosed(
  stream: CodecStream,
  step: string,
  cancellation: Cancellation,
): Promise<CallReport> {
  return new Promise((resolve, reject) => {
    cancellation.subscribe({
      cancelled: (reason: Error) => {
        endWithClient(stream, reason);
        reject(reason);
      },
    });
    stream.once('close', () => {
      const { device = '', timingMs } = stream;
      if (!stream.readableEnded) {
        reject(stream.errored ?? new AxleError('CANCELLED', 'the stream was destroyed'));
        return;
      }
      const steps = [{ step, device, timingMs, batchSize: 1 }];
      resolve({ device, steps, timingMs, fallbacks: [] });
    });
  });
}

/**
 * Whoever reads or writes it is told. Of a stream that was left lying, without an 'error' listener, closing the client
 * must not end the process.
 */
function endWithClient(stream: CodecStream, reason: Error): void {
  // What failed before that is its owner's to hear of.
  if (stream.destroyed) return;
  stream.once('error', () => undefined);
  stream.destroy(reason);
}
