import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import {
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  unlink,
} from 'node:fs/promises';
import { join } from 'node:path';

import { AxleError } from 'axle';

import { syncFolder } from '../durable-file.js';
import { bundleBytesMax, type BundleFile } from './bundle-files.js';

export interface BlobStoreOptions {
  /** For which contents that came stay without a bundle, milliseconds; default 1 h. */
  readonly pushMsMax?: number;
  /** Of all contents together; default 8 GiB. */
  readonly bytesMax?: number | undefined;
}

const pushMsMaxDefault = 3_600_000;
const bytesMaxDefault = 8 * 1024 ** 3;

/**
 * Contents of files by their SHA-256: each is there whole, or not at all.
 *
 *     blobs/SHA256    a content
 *     incoming/       what is on its way
 */
export class BlobStore {
  /** Contents that came, or that somebody was told are here, and until when they wait to be named. */
  private readonly pushed = new Map<string, number>();
  private incomingBytes = 0;
  private readonly bytesMax: number;
  private readonly pushMsMax: number;

  private constructor(
    private readonly folder: string,
    private storedBytes: number,
    { bytesMax = bytesMaxDefault, pushMsMax = pushMsMaxDefault }: BlobStoreOptions,
  ) {
    this.bytesMax = bytesMax;
    this.pushMsMax = pushMsMax;
  }

  /** @throws Error of the file system. */
  static async open(folder: string, options: BlobStoreOptions): Promise<BlobStore> {
    // Of a process that ended in the middle.
    await rm(join(folder, 'incoming'), { recursive: true, force: true });
    for (const name of ['blobs', 'incoming'])
      await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
    let storedBytes = 0;
    for (const name of await readdir(join(folder, 'blobs')))
      storedBytes += (await stat(join(folder, 'blobs', name))).size;
    return new BlobStore(folder, storedBytes, options);
  }

  /** All that are here. */
  async list(): Promise<Set<string>> {
    return new Set(await readdir(join(this.folder, 'blobs')));
  }

  /** Those that are not here. The others stay, for whoever is about to name them. */
  async missing(wanted: ReadonlySet<string>): Promise<string[]> {
    const stored = await this.list();
    const missing: string[] = [];
    for (const sha256 of wanted) {
      if (stored.has(sha256)) this.expect(sha256);
      else missing.push(sha256);
    }
    return missing;
  }

  /**
   * Stores a content; one that is there already is read and left as it is.
   *
   * @throws AxleError INVALID_ARGUMENT for another content than `sha256` says, RESOURCE_EXHAUSTED over the limit of one bundle
   * or of the store.
   */
  async put(sha256: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const incoming = this.incomingPath();
    const file = await open(incoming, 'wx', 0o600);
    let bytes = 0;
    try {
      const hash = createHash('sha256');
      for await (const chunk of content) {
        bytes += chunk.byteLength;
        this.incomingBytes += chunk.byteLength;
        this.checkRoom(bytes);
        hash.update(chunk);
        // Not write, which may take a part and say so only in its answer: at the edge of a full disk it does.
        await file.appendFile(chunk);
      }
      const actual = hash.digest('hex');
      if (actual !== sha256) {
        throw new AxleError(
          'INVALID_ARGUMENT',
          `what came has the SHA-256 ${actual}, not ${sha256}; send the content of that name, whole`,
        );
      }
      await file.sync();
      await this.place(incoming, sha256, bytes);
    } finally {
      this.incomingBytes -= bytes;
      await file.close();
      await unlink(incoming).catch(ignoreMissing);
    }
  }

  /** Under a name of its own, for what becomes visible whole. */
  incomingPath(): string {
    return join(this.folder, 'incoming', randomUUID());
  }

  /** Bytes of one that is here. */
  async sizeOf(sha256: string): Promise<number> {
    return (await stat(this.pathOf(sha256))).size;
  }

  /** @throws AxleError DATA_LOSS where it is gone. */
  textOf(file: BundleFile): Promise<string> {
    return readFile(this.pathOf(file.sha256), 'utf8').catch((error: unknown) => {
      throw contentGone(file, error);
    });
  }

  /** Shared with the store where the file system can. @throws AxleError DATA_LOSS where it is gone. */
  copy(file: BundleFile, to: string): Promise<void> {
    const from = this.pathOf(file.sha256);
    return copyFile(from, to, constants.COPYFILE_FICLONE).catch((error: unknown) => {
      throw contentGone(file, error);
    });
  }

  /** A bundle has these, on disk when this settles. */
  async sync(): Promise<void> {
    await syncFolder(join(this.folder, 'blobs'));
  }

  /** A bundle has them: they wait to be named no more. */
  named(files: readonly BundleFile[]): void {
    for (const { sha256 } of files) this.pushed.delete(sha256);
  }

  /** Removes all others, but for those that wait to be named. */
  async keep(wanted: ReadonlySet<string>): Promise<void> {
    for (const sha256 of await this.list()) {
      if (wanted.has(sha256) || (this.pushed.get(sha256) ?? 0) > performance.now()) continue;
      this.pushed.delete(sha256);
      const size = await this.sizeOf(sha256);
      await unlink(this.pathOf(sha256));
      this.storedBytes -= size;
    }
  }

  private expect(sha256: string): void {
    this.pushed.set(sha256, performance.now() + this.pushMsMax);
  }

  private checkRoom(bytes: number): void {
    if (bytes > bundleBytesMax) {
      throw new AxleError('RESOURCE_EXHAUSTED', `a file has at most ${bundleBytesMax} bytes`, {
        retryable: false,
      });
    }
    if (this.storedBytes + this.incomingBytes > this.bytesMax) {
      throw new AxleError(
        'RESOURCE_EXHAUSTED',
        `the store of functions holds at most ${this.bytesMax} bytes; remove some, or give it more (--bundle-bytes)`,
        { retryable: false },
      );
    }
  }

  private async place(incoming: string, sha256: string, bytes: number): Promise<void> {
    const path = this.pathOf(sha256);
    this.expect(sha256);
    if (await isThere(path)) return;
    await rename(incoming, path);
    this.storedBytes += bytes;
  }

  private pathOf(sha256: string): string {
    return join(this.folder, 'blobs', sha256);
  }
}

/** Of a bundle that is stored. What else the system says stays as it is. */
export function contentGone({ path, sha256 }: BundleFile, cause: unknown): unknown {
  const { code = 'ENOENT' } = (cause ?? {}) as NodeJS.ErrnoException;
  if (code !== 'ENOENT') return cause;
  return new AxleError(
    'DATA_LOSS',
    `the content of ${JSON.stringify(path)}, ${sha256}, is gone; push the function again`,
    { cause },
  );
}

export async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    ignoreMissing(error);
    return false;
  }
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
