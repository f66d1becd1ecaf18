import type { FileHandle } from 'node:fs/promises';

import { AxleError } from '@axle/core/internal';

/** What a client registered: a range of shared memory under a name. */
export interface RegionSpec {
  readonly name: string;
  readonly key: string;
  /** In the memory, bytes. */
  readonly offset: number;
  readonly byteSize: number;
}

/**
 * A region that is registered. It is read and written by copy through its file and never mapped: the client may cut it
 * short at any time, and memory that is gone under a mapping would end the process.
 */
export class SharedRegion {
  /** Its registration is one. */
  private uses = 1;

  constructor(
    readonly spec: RegionSpec,
    private readonly file: FileHandle,
  ) {}

  /** It stays open until `leave`. */
  enter(): void {
    this.uses += 1;
  }

  leave(): void {
    this.uses -= 1;
    // Nobody waits for it, and of nothing that is done to it is anything left.
    if (this.uses === 0) this.file.close().catch(() => undefined);
  }

  /** @throws AxleError OUT_OF_RANGE for what is not within the region. */
  check(offset: number, bytes: number): void {
    const { name, byteSize } = this.spec;
    if (offset + bytes <= byteSize) return;
    throw new AxleError(
      'OUT_OF_RANGE',
      `bytes ${offset} to ${offset + bytes} are not within shared memory region '${name}', which has ${byteSize}`,
    );
  }

  /** @throws AxleError OUT_OF_RANGE where the memory is shorter than was said; as `check`. */
  async read(offset: number, bytes: number): Promise<Uint8Array> {
    this.check(offset, bytes);
    const from = this.spec.offset + offset;
    // Before memory is taken for it.
    const { size } = await this.file.stat();
    if (from + bytes > size) throw this.cutShort(size);
    const data = Buffer.allocUnsafeSlow(bytes);
    for (let at = 0; at < bytes;) {
      const { bytesRead } = await this.file.read(data, at, bytes - at, from + at);
      if (bytesRead === 0) throw this.cutShort(from + at);
      at += bytesRead;
    }
    return data;
  }

  /** Never makes the memory longer. @throws AxleError as `read` */
  async write(offset: number, pieces: readonly Uint8Array[]): Promise<void> {
    const bytes = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
    this.check(offset, bytes);
    let at = this.spec.offset + offset;
    const { size } = await this.file.stat();
    if (at + bytes > size) throw this.cutShort(size);
    for (const piece of pieces) {
      for (let done = 0; done < piece.byteLength;) {
        const left = piece.byteLength - done;
        const { bytesWritten } = await this.file.write(piece, done, left, at);
        done += bytesWritten;
        at += bytesWritten;
      }
    }
  }

  private cutShort(bytes: number): AxleError {
    const { name, offset, byteSize } = this.spec;
    return new AxleError(
      'OUT_OF_RANGE',
      `the memory of region '${name}' has ${bytes} bytes, and ${offset + byteSize} were registered; do not cut it short`,
    );
  }
}
