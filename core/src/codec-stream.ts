import { Transform, type TransformCallback } from 'node:stream';

import type { BackendStream, TaskTiming } from './backend.js';
import type { Limits } from './limits.js';
import type { TimingMs } from './results.js';

/**
 * A Node Duplex that compresses or decompresses in constant memory, with back-pressure both ways. Small writes are
 * gathered, so that a device gets pieces worth splitting over its cores. Use with `pipeline`; for web streams,
 * `Duplex.toWeb(stream)`.
 */
export class CodecStream extends Transform {
  /** The device that runs it; undefined until the first byte. */
  device: string | undefined;
  private stream: BackendStream | undefined;
  private readonly startedAt = performance.now();
  private readonly spent = { queue: 0, transfer: 0, compute: 0 };
  private gathered: Uint8Array[] = [];
  private gatheredBytes = 0;
  private outputBytes = 0;

  /** Made by a client. `open` picks the device when the first bytes are there. */
  constructor(
    private readonly open: () => Promise<{
      readonly stream: BackendStream;
      readonly device: string;
    }>,
    private readonly limits: Limits,
    private readonly outputCheck: (outputBytes: number) => void,
  ) {
    super({ highWaterMark: limits.streamWriteBytesMax, decodeStrings: true });
  }

  /** Where the time went so far; `total` counts from when the stream was made. */
  get timingMs(): TimingMs {
    return { ...this.spent, total: performance.now() - this.startedAt };
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.gathered.push(chunk);
    this.gatheredBytes += chunk.byteLength;
    if (this.gatheredBytes < this.limits.streamWriteBytesMax) {
      done();
      return;
    }
    this.finishWith(this.send(false), done);
  }

  override _flush(done: TransformCallback): void {
    this.finishWith(this.send(true), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const stream = this.stream;
    this.stream = undefined;
    if (stream === undefined) {
      done(error);
      return;
    }
    stream.close().then(
      () => {
        done(error);
      },
      (reason: unknown) => {
        done(error ?? (reason as Error));
      },
    );
  }

  private finishWith(work: Promise<void>, done: TransformCallback): void {
    work.then(
      () => {
        done();
      },
      (error: unknown) => {
        done(error as Error);
      },
    );
  }

  /** Hands what was gathered to the device, and takes all output that it gives for it. */
  private async send(end: boolean): Promise<void> {
    const stream = await this.opened();
    let data: Uint8Array = Buffer.concat(this.gathered, this.gatheredBytes);
    this.gathered = [];
    this.gatheredBytes = 0;
    for (;;) {
      const result = await stream.write(data, end, this.limits.streamOutputBytesMax);
      this.addTiming(result.timing);
      for (const chunk of result.chunks) this.emitChunk(chunk);
      data = data.subarray(result.consumedBytes);
      if (data.byteLength === 0 && !result.more) break;
      await this.drained();
    }
  }

  private addTiming({ queueMs, transferMs, computeMs }: TaskTiming): void {
    this.spent.queue += queueMs;
    this.spent.transfer += transferMs;
    this.spent.compute += computeMs;
  }

  private async opened(): Promise<BackendStream> {
    if (this.stream === undefined) {
      const { stream, device } = await this.open();
      this.stream = stream;
      this.device = device;
    }
    return this.stream;
  }

  private emitChunk(chunk: Uint8Array): void {
    this.outputBytes += chunk.byteLength;
    this.outputCheck(this.outputBytes);
    this.push(chunk);
  }

  /** Waits until the reader has taken what is buffered, so that one write cannot pile up its whole output. */
  private async drained(): Promise<void> {
    if (this.readableLength < this.readableHighWaterMark) return;
    await new Promise<void>((resolve) => {
      this.resumeOutput = resolve;
    });
  }

  private resumeOutput: (() => void) | undefined;

  override _read(size: number): void {
    const resume = this.resumeOutput;
    this.resumeOutput = undefined;
    if (resume === undefined) super._read(size);
    else resume();
  }
}
