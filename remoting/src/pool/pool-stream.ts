import { AxleError, type BackendStream, type StreamWriteResult } from '@axle/core/internal';

import type { Member } from './member.js';

/** A stream on a server of a pool, which it is bound to: what it was given is nowhere else. */
export class PoolStream implements BackendStream {
  readonly whenReady?: () => Promise<void>;
  private isOpen = true;

  constructor(
    private readonly member: Member,
    private readonly stream: BackendStream,
  ) {
    member.streams += 1;
    if (stream.whenReady !== undefined)
      this.whenReady = () => stream.whenReady?.() as Promise<void>;
  }

  /** @throws AxleError as the stream fails; UNAVAILABLE saying which server was lost. */
  async write(
    data: Uint8Array | undefined,
    end: boolean,
    outputBytesMax: number,
  ): Promise<StreamWriteResult> {
    try {
      return await this.stream.write(data, end, outputBytesMax);
    } catch (error) {
      throw error instanceof AxleError ? this.named(error) : error;
    }
  }

  async close(): Promise<void> {
    if (this.isOpen) this.member.streams -= 1;
    this.isOpen = false;
    await this.stream.close();
  }

  private named(error: AxleError): AxleError {
    if (error.code !== 'UNAVAILABLE' || this.member.state === 'up') return error;
    return new AxleError(
      'UNAVAILABLE',
      `the stream was bound to ${this.member.label}, which is ${this.member.state}: ${error.message}; ` +
        'open another one, which goes to another server, and send all input again',
      { cause: error },
    );
  }
}
