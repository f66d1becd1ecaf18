import { AxleError } from 'axle/errors';

import { partBytesMax, windowBytes } from './frame.js';

const nothing = new Uint8Array(0);

/** Sends a body no faster than its receiver uses it. */
export class OutgoingBody {
  private credit = windowBytes;
  private failure: AxleError | undefined;
  private wake: (() => void) | undefined;

  /** @param send a part of it, of at most `partBytesMax`, which it copies; a promise when more has to wait. */
  constructor(private readonly send: (data: Uint8Array, end: boolean) => Promise<void> | void) {}

  get hasFailed(): boolean {
    return this.failure !== undefined;
  }

  /** @throws AxleError DATA_LOSS for more than was sent. */
  addCredit(bytes: number): void {
    this.credit += bytes;
    if (this.credit > windowBytes)
      throw new AxleError('DATA_LOSS', 'a body was used that was not sent');
    this.wake?.();
  }

  /** Of what goes along with the head. */
  take(bytes: number): void {
    this.credit -= bytes;
  }

  /** Nothing more goes out. */
  fail(error: AxleError): void {
    this.failure ??= error;
    this.wake?.();
  }

  /** @throws what `fail` was told. */
  async write(data: Uint8Array, end = false): Promise<void> {
    let at = 0;
    do {
      while (at < data.byteLength && this.credit === 0 && this.failure === undefined) {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      }
      if (this.failure !== undefined) throw this.failure;
      const bytes = Math.min(data.byteLength - at, this.credit, partBytesMax);
      this.credit -= bytes;
      at += bytes;
      const isLast = at === data.byteLength;
      const room = this.send(data.subarray(at - bytes, at), end && isLast);
      if (room !== undefined) await room;
    } while (at < data.byteLength);
  }

  /**
   * Sends all that the source gives. The source is not told when it is read no further: a stream of a connection would
   * take its connection along.
   *
   * @throws what `fail` was told, or the source.
   */
  async writeAll(source: AsyncIterator<Uint8Array>): Promise<void> {
    for (;;) {
      const { value, done } = (await source.next()) as IteratorResult<Uint8Array, undefined>;
      if (done === true) break;
      await this.write(value);
    }
    await this.write(nothing, true);
  }
}
