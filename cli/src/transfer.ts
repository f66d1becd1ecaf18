import { Readable, Transform, type Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import type { CodecStream, CompressResult, TimingMs } from 'axle';

import { readWhole, type Input } from './input.js';
import type { Output } from './output.js';
import { Progress } from './progress.js';

/** What went in and came out, and where it was done. */
export interface Transfer {
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly device: string;
  readonly timingMs: TimingMs;
  /** The first bytes of the input, by which its format is told. */
  readonly firstBytes: Uint8Array;
}

export interface StreamTransferOptions {
  /** For the progress bar. */
  readonly label: string;
  readonly signal: AbortSignal;
  /** Throws when there is more output than there may be. */
  readonly checkOutput?: (outputBytes: number, inputBytes: number) => void;
}

/** Input to output through a codec, piece by piece in constant memory. Does not commit the output. */
export async function transferStream(
  input: Input,
  codec: CodecStream,
  output: Output,
  options: StreamTransferOptions,
): Promise<Transfer> {
  const progress = new Progress({ label: options.label, total: input.sizeBytes, unit: 'bytes' });
  let firstBytes: Uint8Array = new Uint8Array();
  let inputBytes = 0;
  let outputBytes = 0;
  const countInput = meter((chunk) => {
    if (inputBytes === 0) firstBytes = Uint8Array.from(chunk.subarray(0, 8));
    inputBytes += chunk.byteLength;
    progress.advance(chunk.byteLength);
  });
  const countOutput = meter((chunk) => {
    outputBytes += chunk.byteLength;
    options.checkOutput?.(outputBytes, inputBytes);
  });
  try {
    await pipeline(input.stream(), countInput, codec as Duplex, countOutput, output.sink, {
      signal: options.signal,
    });
  } finally {
    progress.stop();
  }
  const { device = '', timingMs } = codec;
  return { inputBytes, outputBytes, device, timingMs, firstBytes };
}

/** A whole input in one call: a device sees all of it and can split it as it likes. */
export async function transferWhole(
  input: Input,
  compress: (data: Buffer) => Promise<CompressResult>,
  output: Output,
  signal: AbortSignal,
): Promise<Transfer> {
  // Not at the top: help and completion need no core.
  const { defaultLimits } = await import('axle');
  const data = await readWhole(input, defaultLimits.payloadBytesMax, signal);
  const result = await compress(data);
  await pipeline(Readable.from([result.data]), output.sink, { signal });
  return {
    inputBytes: data.byteLength,
    outputBytes: result.data.byteLength,
    device: result.device,
    timingMs: result.timingMs,
    firstBytes: data.subarray(0, 8),
  };
}

function meter(measure: (chunk: Buffer) => void): Transform {
  return new Transform({
    highWaterMark: 1024 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      try {
        measure(chunk);
        done(null, chunk);
      } catch (error) {
        done(error as Error);
      }
    },
  });
}
