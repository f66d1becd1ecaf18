import { Transform, type TransformCallback } from 'node:stream';

import type { BackendStream, TaskTiming } from './backend.js';
import type { CodecStream } from './codec-stream.js';
import { AxleError } from './errors.js';
import type { Limits } from './limits.js';
import type { TimingMs } from './results.js';

/** What clients know as a CodecStream, on the stream of a device. */
export class DeviceCodecStream extends Transform implements CodecStream {
  device: string | undefined;
  private stream: BackendStream | undefined;
  private readonly startedAt = performance.now();
  private readonly spent = { queue: 0, transfer: 0, compute: 0 };
  /** Our own memory: the writer may reuse its buffer as soon as its write is called back. */
  private gathered = Buffer.alloc(0);
  private gatheredBytes = 0;
  private outputBytes = 0;

  private begun = false;

  /** Made by a client. `begin` is called at the first byte, `open` picks the device when there is work for one. */
  constructor(
    private readonly begin: () => void,
    private readonly open: () => { readonly stream: BackendStream; readonly device: string },
    private readonly limits: Limits,
    private readonly outputCheck: (outputBytes: number) => void,
  ) {
    super({ highWaterMark: limits.streamWriteBytesMax, decodeStrings: true });
  }

  get timingMs(): TimingMs {
    return { ...this.spent, total: performance.now() - this.startedAt };
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.beginOnce();
    if (this.gatheredBytes + chunk.byteLength < this.limits.streamWriteBytesMax) {
      this.gather(chunk);
      done();
      return;
    }
    this.finishWith(this.sendFull(chunk), done);
  }

  override _flush(done: TransformCallback): void {
    this.beginOnce();
    this.finishWith(this.sendGathered(true), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const stream = this.stream;
    this.stream = undefined;
    // A write that waits for the reader has to settle too.
    this.resumeOutput?.();
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

  /** Cuts what is larger than a write may be. */
  private async sendFull(chunk: Buffer): Promise<void> {
    let rest = chunk;
    while (rest.byteLength > 0) {
      const room = this.limits.streamWriteBytesMax - this.gatheredBytes;
      this.gather(rest.subarray(0, room));
      rest = rest.subarray(room);
      if (this.gatheredBytes === this.limits.streamWriteBytesMax) await this.sendGathered(false);
    }
  }

  private gather(chunk: Buffer): void {
    const needed = this.gatheredBytes + chunk.byteLength;
    if (needed > this.gathered.byteLength) {
      const size = Math.min(2 * needed, this.limits.streamWriteBytesMax);
      const grown = Buffer.allocUnsafeSlow(size);
      this.gathered.copy(grown, 0, 0, this.gatheredBytes);
      this.gathered = grown;
    }
    chunk.copy(this.gathered, this.gatheredBytes);
    this.gatheredBytes = needed;
  }

  /** Hands what was gathered to the device, and takes all output that it gives for it. */
  private async sendGathered(end: boolean): Promise<void> {
    let data: Uint8Array = this.gathered.subarray(0, this.gatheredBytes);
    this.gatheredBytes = 0;
    for (;;) {
      const result = await this.opened().write(data, end, this.limits.streamOutputBytesMax);
      this.addTiming(result.timing);
      for (const chunk of result.chunks) this.emitChunk(chunk);
      data = data.subarray(result.consumedBytes);
      if (data.byteLength === 0 && !result.more) break;
      if (result.consumedBytes === 0 && result.chunks.length === 0 && !result.more) {
        throw new AxleError(
          'INTERNAL',
          `${this.device ?? 'the device'} took nothing of a stream and gave nothing; report it to the plugin's author`,
        );
      }
      await this.drained();
    }
  }

  private addTiming({ queueMs, transferMs, computeMs }: TaskTiming): void {
    this.spent.queue += queueMs;
    this.spent.transfer += transferMs;
    this.spent.compute += computeMs;
  }

  private beginOnce(): void {
    if (this.begun) return;
    this.begun = true;
    this.begin();
  }

  private opened(): BackendStream {
    // Whoever destroyed it has been told why; this only ends the work that is left.
    if (this.destroyed) throw new AxleError('CANCELLED', 'the stream was destroyed');
    if (this.stream === undefined) {
      const { stream, device } = this.open();
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
