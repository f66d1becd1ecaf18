import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, mkdir, open, rename, rm, stat, truncate, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { AxleError } from '@axle/core/internal';

import type { ByteRange } from '../wire/frames.js';
import type { Manifest, ManifestFile } from './manifest.js';

/** A file on its way. */
interface Part {
  readonly file: ManifestFile;
  readonly path: string;
  /** Of the bytes that are there. */
  hash: Hash;
  written: number;
  isWhole: boolean;
}

export interface UploadOptions {
  /** Where the parts of this upload lie; what is there already counts. */
  readonly folder: string;
  /** Where each file lies once for all models that have it, by its SHA-256. */
  readonly blobs: string;
  /** Whether it must outlast a loss of power. */
  readonly durable: boolean;
  /** Where the tenant itself has a file of this content. */
  readonly ownCopy: (sha256: string) => string | undefined;
}

/** The content of a model that is being written: checked as it comes, and resumable. Calls must not overlap. */
export class Upload {
  private handle: { readonly part: Part; readonly file: FileHandle } | undefined;

  private constructor(
    readonly manifest: Manifest,
    private readonly options: UploadOptions,
    private readonly parts: readonly Part[],
  ) {}

  /** Looks at what is there already. */
  static async begin(manifest: Manifest, options: UploadOptions): Promise<Upload> {
    const parts: Part[] = [];
    for (const file of manifest.files) {
      const path = join(options.folder, 'content', file.name);
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      parts.push(await beginPart(file, path, options));
    }
    return new Upload(manifest, options, parts);
  }

  get folder(): string {
    return this.options.folder;
  }

  get isWhole(): boolean {
    return this.parts.every(({ isWhole }) => isWhole);
  }

  /** What is missing of the content, in its order; at most `countMax` ranges. */
  missing(countMax: number): ByteRange[] {
    const ranges: { offset: number; bytes: number }[] = [];
    for (const { file, written, isWhole } of this.parts) {
      if (isWhole) continue;
      const offset = file.offset + written;
      const last = ranges.at(-1);
      if (last !== undefined && last.offset + last.bytes === offset) {
        last.bytes += file.bytes - written;
      } else if (ranges.length < countMax) {
        ranges.push({ offset, bytes: file.bytes - written });
      } else {
        break;
      }
    }
    return ranges;
  }

  /**
   * Takes bytes of the content; those that are there already are passed over.
   *
   * @throws AxleError DATA_LOSS for a file that is not what the manifest says; system errors.
   */
  async write(offset: number, data: Uint8Array): Promise<void> {
    for (const part of this.parts) {
      const { file, written, isWhole } = part;
      const from = Math.max(file.offset + written, offset);
      const to = Math.min(file.offset + file.bytes, offset + data.byteLength);
      if (isWhole || from >= to) continue;
      await this.append(part, data.subarray(from - offset, to - offset));
    }
  }

  /** Puts a whole upload where it is to lie, or throws it away when it lies there already. */
  async moveTo(target: string): Promise<void> {
    await this.pause();
    for (const part of this.parts) await this.share(part);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await rename(this.folder, target).catch(async (error: unknown) => {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
      await this.discard();
    });
  }

  /** Nothing more comes for now. */
  async pause(): Promise<void> {
    const { handle } = this;
    this.handle = undefined;
    await handle?.file.close();
  }

  async discard(): Promise<void> {
    await this.pause();
    await rm(this.folder, { recursive: true, force: true });
  }

  private async append(part: Part, data: Uint8Array): Promise<void> {
    const file = await this.openedFor(part);
    part.hash.update(data);
    let done = 0;
    while (done < data.byteLength) {
      const { bytesWritten } = await file.write(data, done, data.byteLength - done);
      done += bytesWritten;
    }
    part.written += data.byteLength;
    if (part.written < part.file.bytes) return;
    const found = part.hash.digest('hex');
    if (found !== part.file.sha256) throw damaged(part.file, found);
    if (this.options.durable) await file.sync();
    await this.pause();
    part.isWhole = true;
  }

  private async openedFor(part: Part): Promise<FileHandle> {
    if (this.handle?.part === part) return this.handle.file;
    await this.pause();
    const file = await open(part.path, 'a', 0o600);
    this.handle = { part, file };
    return file;
  }

  /** The same content lies on the disk once. Where links do not work, it lies there more often. */
  private async share({ file, path }: Part): Promise<void> {
    const blob = join(this.options.blobs, file.sha256);
    const { ino } = await stat(path);
    const shared = await stat(blob).catch(() => undefined);
    if (shared?.ino === ino) return;
    try {
      if (shared === undefined) {
        await link(path, blob);
      } else {
        const beside = `${path}.axle-shared`;
        await link(blob, beside);
        await rename(beside, path);
      }
    } catch (error) {
      if (!linkFailures.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
}

const linkFailures = new Set(['EEXIST', 'ENOENT', 'EMLINK', 'EPERM', 'EXDEV', 'ENOTSUP']);

async function beginPart(file: ManifestFile, path: string, options: UploadOptions): Promise<Part> {
  const part: Part = { file, path, hash: createHash('sha256'), written: 0, isWhole: false };
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) {
    const own = options.ownCopy(file.sha256);
    if (own !== undefined && (await linked(own, path))) return { ...part, isWhole: true };
  } else if (info.size <= file.bytes) {
    for await (const chunk of createReadStream(path)) part.hash.update(chunk as Buffer);
    part.written = info.size;
  } else {
    await truncate(path, 0);
  }
  if (part.written < file.bytes) return part;
  if (file.bytes === 0) await (await open(path, 'a', 0o600)).close();
  const found = part.hash.digest('hex');
  if (found === file.sha256) return { ...part, isWhole: true };
  if (file.bytes === 0) throw damaged(file, found);
  // Written before a loss of power, perhaps: it comes again.
  await rm(path);
  return { ...part, hash: createHash('sha256'), written: 0 };
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch {
    // It comes over the connection then.
    return false;
  }
}

function damaged({ name }: ManifestFile, found: string): AxleError {
  return new AxleError(
    'DATA_LOSS',
    `file '${name}' of the model has the SHA-256 ${found}, which is not what its manifest says; send it again`,
  );
}
