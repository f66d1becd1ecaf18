import type { AxleError } from 'axle';

import { payloadBytesMax, windowBytes } from './frame.js';

/** Sends a body no faster than its receiver uses it. */
export class OutgoingBody {
  private credit = windowBytes;
  private failure: AxleError | undefined;
  private wake: (() => void) | undefined;

  /** @param send a part of it, of at most `payloadBytesMax`; settles when the stream below takes more. */
  constructor(private readonly send: (data: Uint8Array, end: boolean) => Promise<void>) {}

  addCredit(bytes: number): void {
    this.credit += bytes;
    this.wake?.();
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
      if (at < data.byteLength && this.credit === 0) await this.untilCredit();
      if (this.failure !== undefined) throw this.failure;
      const bytes = Math.min(data.byteLength - at, this.credit, payloadBytesMax);
      this.credit -= bytes;
      at += bytes;
      await this.send(data.subarray(at - bytes, at), end && at === data.byteLength);
    } while (at < data.byteLength);
  }

  /** @throws what `fail` was told, or the source. */
  async writeAll(source: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of source) await this.write(chunk);
    await this.write(new Uint8Array(0), true);
  }

  private async untilCredit(): Promise<void> {
    while (this.credit === 0 && this.failure === undefined) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}
