import { AxleError } from 'axle';

import { windowBytes } from './frame.js';

/** Credit is given back in lots of at least so many bytes: a frame for each chunk would cost more than it brings. */
const creditLotBytes = windowBytes / 4;

/** The body of a call or an answer as it comes: at most a window of it is held. Read once. */
export class IncomingBody implements AsyncIterable<Uint8Array> {
  private chunks: Uint8Array[] = [];
  private heldBytes = 0;
  private usedBytes = 0;
  private hasEnded = false;
  private failure: AxleError | undefined;
  private wake: (() => void) | undefined;

  /** @param giveCredit tells the sender of bytes that were used. */
  constructor(private readonly giveCredit: (bytes: number) => void) {}

  /**
   * Takes a chunk, which stays the body's.
   *
   * @throws AxleError DATA_LOSS for more than credit was given for, or anything after the end.
   */
  push(chunk: Uint8Array, end: boolean): void {
    this.heldBytes += chunk.byteLength;
    const unreported = this.heldBytes + this.usedBytes;
    if (this.hasEnded || unreported > windowBytes) {
      throw new AxleError('DATA_LOSS', 'a body came that there was no room for');
    }
    this.hasEnded = end;
    if (chunk.byteLength > 0 && this.failure === undefined) this.chunks.push(chunk);
    this.wake?.();
  }

  /** Ends whoever reads. */
  fail(error: AxleError): void {
    if (this.failure !== undefined || (this.hasEnded && this.chunks.length === 0)) return;
    this.failure = error;
    this.chunks = [];
    this.wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.chunks.shift();
      if (chunk !== undefined) {
        yield chunk;
        this.used(chunk.byteLength);
        continue;
      }
      if (this.failure !== undefined) throw this.failure;
      if (this.hasEnded) return;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
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
