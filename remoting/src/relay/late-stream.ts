import type { BackendStream, StreamWriteResult } from '@axle/core/internal';

/** A stream on a connection that is not open yet. */
export class LateStream implements BackendStream {
  constructor(private readonly opening: Promise<BackendStream>) {
    // Whoever writes hears of it.
    opening.catch(() => undefined);
  }

  async write(
    data: Uint8Array | undefined,
    end: boolean,
    outputBytesMax: number,
  ): Promise<StreamWriteResult> {
    return (await this.opening).write(data, end, outputBytesMax);
  }

  async whenReady(): Promise<void> {
    await (await this.opening).whenReady?.();
  }

  async close(): Promise<void> {
    const stream = await this.opening.catch(() => undefined);
    await stream?.close();
  }
}
