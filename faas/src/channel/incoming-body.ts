import { AxleError } from 'axle/errors';

import { windowBytes } from './frame.js';

/** Credit is given back in lots of at least so many bytes: a frame for each chunk would cost more than it brings. */
const creditLotBytes = windowBytes / 4;

/** What the reader of a body finds: a chunk, its end, or that it has to wait. */
export type Taken = Uint8Array | 'end' | 'wait';

/** The body of a call or an answer as it comes: at most a window of it is held. Read once. */
export class IncomingBody implements AsyncIterable<Uint8Array> {
  private chunks: Uint8Array[] = [];
  private heldBytes = 0;
  private usedBytes = 0;
  private hasEnded = false;
  private failure: AxleError | undefined;
  /** Called when there is something to take after `take` said to wait. */
  wake: (() => void) | undefined;

  /** @param giveCredit tells the sender of bytes that were used. */
  constructor(private readonly giveCredit: (bytes: number) => void) {}

  /** All of it has come, and was sound. */
  get isWhole(): boolean {
    return this.hasEnded && this.failure === undefined;
  }

  /**
   * Takes a chunk, which stays the body's.
   *
   * @throws AxleError DATA_LOSS for more than credit was given for, or anything after the end.
   */
  push(chunk: Uint8Array, end: boolean): void {
    this.heldBytes += chunk.byteLength;
    if (this.hasEnded || this.heldBytes + this.usedBytes > windowBytes) {
      throw new AxleError('DATA_LOSS', 'a body came that there was no room for');
    }
    this.hasEnded = end;
    if (chunk.byteLength > 0 && this.failure === undefined) this.chunks.push(chunk);
    this.wake?.();
  }

  /** Ends whoever reads; a body that has come whole stays. */
  fail(error: AxleError): void {
    if (this.failure !== undefined || this.hasEnded) return;
    this.failure = error;
    this.chunks = [];
    this.wake?.();
  }

  /** @throws what `fail` was told. */
  take(): Taken {
    const chunk = this.chunks.shift();
    if (chunk !== undefined) {
      this.used(chunk.byteLength);
      return chunk;
    }
    if (this.failure !== undefined) throw this.failure;
    return this.hasEnded ? 'end' : 'wait';
  }

  /** All of a body that is whole. */
  takeAll(): Uint8Array {
    const { chunks } = this;
    this.chunks = [];
    return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const taken = this.take();
      if (taken === 'end') return;
      if (taken !== 'wait') yield taken;
      else {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      }
    }
  }

  private used(bytes: number): void {
    this.heldBytes -= bytes;
    this.usedBytes += bytes;
    if (this.hasEnded || this.usedBytes < creditLotBytes) return;
    this.giveCredit(this.usedBytes);
    this.usedBytes = 0;
  }
}
