import {
  AxleError,
  type BackendStream,
  type StreamWriteResult,
  type TaskTiming,
} from '@axle/core/internal';

import { decodeData, decodeResult } from '../wire/decode-frame.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import { fromWireUs } from '../wire/time.js';
import { WireError } from '../wire/wire-error.js';
import type { PendingAnswer } from './pending-answer.js';
import type { WireClient } from './wire-client.js';

/** Input that waits for the server's credit, bytes: up to it a write settles before the server has its bytes. */
const unsentBytesMax = 1024 * 1024;
/** Input is sent in pieces of this size, so that what waits is known about as exactly. */
const pieceBytes = 256 * 1024;

const noTiming: TaskTiming = { queueMs: 0, transferMs: 0, computeMs: 0, batchSize: 1 };

interface Write {
  readonly consumedBytes: number;
  readonly outputBytesMax: number;
  readonly resolve: (result: StreamWriteResult) => void;
  readonly reject: (error: AxleError) => void;
}

/**
 * A STREAM on a server. Writes do not wait for what they give: one settles when its bytes are on their way, with the
 * output that came in the meantime, so that no write costs a round trip. The last one gives the rest.
 */
export class RemoteStream implements BackendStream, PendingAnswer {
  readonly mayWait = true;
  /** Came and was not taken, with what its sender gets back for it. */
  private output: { data: Uint8Array; readonly creditBytes: number }[] = [];
  private unsentBytes = 0;
  private hasEnded = false;
  private timing: TaskTiming | undefined = undefined;
  private failure: AxleError | undefined = undefined;
  private pendingWrite: Write | undefined = undefined;
  private wake: () => void = () => undefined;

  constructor(
    private readonly client: WireClient,
    readonly id: number,
  ) {}

  write(
    data: Uint8Array | undefined,
    end: boolean,
    outputBytesMax: number,
  ): Promise<StreamWriteResult> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const consumedBytes = data?.byteLength ?? 0;
    const ends = end && !this.hasEnded;
    if (consumedBytes > 0 || ends) this.send(data ?? nothing, ends);
    this.hasEnded ||= end;
    return new Promise((resolve, reject) => {
      this.pendingWrite = { consumedBytes, outputBytesMax, resolve, reject };
      this.settleIfReady();
    });
  }

  whenReady(): Promise<void> {
    if (this.output.length > 0 || this.failure !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  /** The server's answer is not waited for: it frees its device when it hears of it. */
  close(): Promise<void> {
    if (this.timing === undefined && this.failure === undefined) {
      this.onFailed(new AxleError('CANCELLED', 'the stream was closed'));
      this.client.cancel(this.id);
    }
    return Promise.resolve();
  }

  onFrame(raw: RawFrame): boolean {
    if (raw.type === 'RESULT') return this.finish(raw);
    if (raw.type !== 'DATA') throw new WireError('WRONG_STATE', raw.type);
    const { data, end } = decodeData(raw);
    if (end) throw new WireError('WRONG_STATE', 'DATA with END');
    const creditBytes = raw.end - raw.start;
    if (this.failure !== undefined) {
      this.client.usedData(this.id, creditBytes);
      return false;
    }
    this.output.push({ data, creditBytes });
    this.settleIfReady();
    if (this.output.length > 0) this.wake();
    return false;
  }

  onFailed(error: AxleError): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    this.output = [];
    const write = this.pendingWrite;
    this.pendingWrite = undefined;
    write?.reject(error);
    this.wake();
  }

  private finish(raw: RawFrame): boolean {
    const { queueUs, transferUs, computeUs, batchSize } = decodeResult(raw);
    if (!this.hasEnded) throw new WireError('WRONG_STATE', 'RESULT');
    this.timing = {
      queueMs: fromWireUs(queueUs),
      transferMs: fromWireUs(transferUs),
      computeMs: fromWireUs(computeUs),
      batchSize,
    };
    this.settleIfReady();
    return true;
  }

  private send(data: Uint8Array, end: boolean): void {
    // The writer has its memory back before all of it is sent.
    const own = Buffer.from(data);
    let at = 0;
    do {
      const piece = own.subarray(at, at + pieceBytes);
      at += piece.byteLength;
      this.unsentBytes += piece.byteLength;
      this.client.sendData(this.id, piece, end && at === own.byteLength, () => {
        this.unsentBytes -= piece.byteLength;
        this.settleIfReady();
      });
    } while (at < own.byteLength);
  }

  private settleIfReady(): void {
    const write = this.pendingWrite;
    if (write === undefined) return;
    const isOver = this.hasEnded ? this.timing !== undefined : this.unsentBytes <= unsentBytesMax;
    if (this.output.length === 0 && !isOver) return;
    const chunks = this.takeOutput(write.outputBytesMax);
    const more = this.output.length > 0 || !isOver;
    const timing = more ? noTiming : (this.timing ?? noTiming);
    this.pendingWrite = undefined;
    write.resolve({ chunks, consumedBytes: write.consumedBytes, more, timing });
  }

  private takeOutput(bytesMax: number): Uint8Array[] {
    const chunks: Uint8Array[] = [];
    let left = bytesMax;
    let credit = 0;
    let taken = 0;
    for (const piece of this.output) {
      if (left === 0) break;
      const chunk = piece.data.subarray(0, left);
      left -= chunk.byteLength;
      chunks.push(chunk);
      if (chunk.byteLength < piece.data.byteLength) {
        piece.data = piece.data.subarray(chunk.byteLength);
        break;
      }
      credit += piece.creditBytes;
      taken += 1;
    }
    this.output = this.output.slice(taken);
    this.client.usedData(this.id, credit);
    return chunks;
  }
}

const nothing = new Uint8Array(0);
