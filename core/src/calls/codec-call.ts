import { readBinaryInput, readBinaryPieces } from '../binary-input.js';
import type { Cancellation } from '../cancellation.js';
import type { BinaryInput, CompressOptions, DecompressOptions } from '../client.js';
import {
  chooseCodec,
  compressArgs,
  decompressArgs,
  outputBytesMaxOf,
  type CodecChoice,
} from '../codec-args.js';
import type { CallOutcome } from '../dispatch.js';
import { AxleError } from '../errors.js';
import { knownOptions, refuseUnknownOptions } from '../known-options.js';
import type { Limits } from '../limits.js';
import type { OpArgs } from '../op.js';
import { step, type Chain } from '../plans/chain.js';
import type { CallReport, CompressResult, DecompressResult } from '../results.js';
import type { CallRequest, CallWork } from '../session-call.js';
import { bytesTensor } from './bytes-tensor.js';

export function codecChain(op: 'compress' | 'decompress', args: OpArgs): Chain {
  return { op, main: 0, steps: [step(op, { usesModel: false, args })] };
}

/** @throws AxleError INVALID_ARGUMENT of an option that there is not, or a value that it cannot have. */
export function compressChoiceOf(options: CompressOptions): CodecChoice {
  refuseUnknownOptions(options, knownOptions.compress);
  return chooseCodec(options);
}

/** @throws as `compressChoiceOf`. */
export function decompressArgsOf(options: DecompressOptions): OpArgs {
  refuseUnknownOptions(options, knownOptions.decompress);
  outputBytesMaxOf(options);
  return decompressArgs(options);
}

/** What compress and decompress have in common. */
export abstract class CodecCall<R> implements CallWork<R> {
  private recycle: () => void = () => undefined;
  private outputCap = Infinity;

  constructor(
    private readonly input: BinaryInput,
    private readonly limits: Limits,
  ) {}

  async prepare(cancellation: Cancellation): Promise<CallRequest> {
    const chain = this.chain();
    const outputBytesMax = Math.min(this.outputBytesMax(), this.limits.outputBytesMax);
    this.outputCap = outputBytesMax;
    const source = await this.read(this.input, 'input', this.limits.payloadBytesMax, cancellation);
    this.recycle = source.recycle;
    return { chain, model: undefined, inputs: [bytesTensor(source, 'input')], outputBytesMax };
  }

  shape({ outputs, report }: CallOutcome): R {
    // With a fallback another device may still be at it.
    if (report.fallbacks.length === 0) this.recycle();
    return this.resultOf(joined(outputs.flatMap(({ tensor }) => tensor.segments)), report);
  }

  /**
   * What the caller gets for an error. A device that says in its message at how many bytes it stopped was not short of
   * anything: the call would stop there again, and only the caller can let it go on.
   */
  failure(error: unknown): unknown {
    const cap = this.outputCap;
    if (!(error instanceof AxleError) || error.code !== 'RESOURCE_EXHAUSTED') return error;
    if (!new RegExp(`\\b${cap} bytes\\b`).test(error.message)) return error;
    const whose =
      this.outputBytesMax() > cap ? 'the limit outputBytesMax of the client' : 'outputBytesMax';
    return new AxleError(
      'RESOURCE_EXHAUSTED',
      `the output is more than ${cap} bytes; raise ${whose} if that much is expected, or use a stream`,
      { cause: error, retryable: false },
    );
  }

  protected abstract readonly read: typeof readBinaryPieces;
  /** Checks the options. */
  protected abstract chain(): Chain;
  protected abstract outputBytesMax(): number;
  protected abstract resultOf(data: Buffer, report: CallReport): R;
}

export class CompressCall extends CodecCall<CompressResult> {
  protected readonly read = readBinaryPieces;
  private choice: CodecChoice | undefined;

  constructor(
    input: BinaryInput,
    private readonly options: CompressOptions,
    limits: Limits,
  ) {
    super(input, limits);
  }

  protected chain(): Chain {
    this.choice = compressChoiceOf(this.options);
    return codecChain('compress', compressArgs(this.choice));
  }

  protected outputBytesMax(): number {
    return Infinity;
  }

  protected resultOf(data: Buffer, report: CallReport): CompressResult {
    return { data, ...(this.choice as CodecChoice), ...report };
  }
}

export class DecompressCall extends CodecCall<DecompressResult> {
  /** Archives are decoded best from one piece, where the frames or members of one can be seen ahead. */
  protected readonly read = readBinaryInput;

  constructor(
    input: BinaryInput,
    private readonly options: DecompressOptions,
    limits: Limits,
  ) {
    super(input, limits);
  }

  protected chain(): Chain {
    return codecChain('decompress', decompressArgsOf(this.options));
  }

  protected outputBytesMax(): number {
    return outputBytesMaxOf(this.options) ?? Infinity;
  }

  protected resultOf(data: Buffer, report: CallReport): DecompressResult {
    return { data, ...report };
  }
}

function joined(parts: readonly Uint8Array[]): Buffer {
  const [first] = parts;
  if (parts.length !== 1 || first === undefined) return Buffer.concat(parts);
  return Buffer.from(first.buffer, first.byteOffset, first.byteLength);
}
