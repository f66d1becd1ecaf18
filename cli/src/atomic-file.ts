import { randomBytes } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import {
  constants,
  link,
  lstat,
  open,
  realpath,
  rename,
  unlink,
  type FileHandle,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';

import { FileError, fileFailure, isSystemError } from './failure.js';

export interface AtomicFileOptions {
  /** Replace a file of that name; without it one that is there, or comes up meanwhile, is an error. */
  readonly overwrite: boolean;
  /** Permissions of a new file; default what the umask leaves of 0666. A replaced file's are kept. */
  readonly mode?: number | undefined;
}

/**
 * A file that appears under its name whole or not at all. Until `commit` the data is in a file of another name in the
 * same folder, which goes with `discard` and with the end of the process, unless that is a kill -9.
 */
export class AtomicFile {
  private constructor(
    /** As the user named it. */
    readonly name: string,
    private readonly target: string,
    private readonly temporary: string,
    private readonly handle: FileHandle,
    private readonly options: AtomicFileOptions,
  ) {}

  static async create(name: string, options: AtomicFileOptions): Promise<AtomicFile> {
    const existing = await lstatIfThere(name);
    if (existing !== undefined && !options.overwrite) throw alreadyExists(name);
    // A link stays a link: what it leads to is replaced.
    const target = existing?.isSymbolicLink() ? await followLink(name) : name;
    const replaced = existing?.isSymbolicLink() ? await lstatIfThere(target) : existing;
    if (replaced?.isDirectory()) throw isDirectory(name);

    const mode = replaced === undefined ? options.mode : replaced.mode;
    const temporary = join(dirname(target), `.axle-${randomBytes(8).toString('hex')}.tmp`);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
    try {
      // Nobody else may read it before it has the permissions that it is to keep.
      const handle = await open(temporary, flags, mode === undefined ? 0o666 : 0o600);
      temporaryFiles.add(temporary);
      return new AtomicFile(name, target, temporary, handle, { ...options, mode });
    } catch (error) {
      throw fileFailure(error, name);
    }
  }

  async write(data: Uint8Array): Promise<void> {
    try {
      await writeWhole(this.handle, data);
    } catch (error) {
      throw fileFailure(error, this.name);
    }
  }

  /** A stream into the file; ending it does not commit. */
  get sink(): Writable {
    return new Writable({
      highWaterMark: 1024 * 1024,
      write: (chunk: Uint8Array, _encoding, done) => {
        this.write(chunk).then(() => done(), done);
      },
    });
  }

  /** Puts the file in its place, on disk. */
  async commit(): Promise<void> {
    try {
      if (this.options.mode !== undefined) await this.handle.chmod(this.options.mode & 0o777);
      await this.handle.sync();
      await this.handle.close();
      await this.place();
      temporaryFiles.delete(this.temporary);
      await syncFolder(dirname(this.target));
    } catch (error) {
      await this.discard();
      throw fileFailure(error, this.name);
    }
  }

  /** Leaves nothing behind. Harmless after `commit` and when repeated. */
  async discard(): Promise<void> {
    if (this.handle.fd >= 0) await this.handle.close();
    if (!temporaryFiles.delete(this.temporary)) return;
    await unlink(this.temporary).catch(ignore('ENOENT'));
  }

  private async place(): Promise<void> {
    if (this.options.overwrite) return rename(this.temporary, this.target);
    try {
      // Unlike rename, link never replaces a file that came up meanwhile.
      await link(this.temporary, this.target);
    } catch (error) {
      if (isSystemError(error, 'EEXIST')) throw alreadyExists(this.name);
      if (!isSystemError(error, 'EPERM') && !isSystemError(error, 'ENOTSUP')) throw error;
      // A file system without hard links.
      return rename(this.temporary, this.target);
    }
    await unlink(this.temporary);
  }
}

/** Of this process, so that they go with it. */
const temporaryFiles = new Set<string>();

process.on('exit', () => {
  for (const path of temporaryFiles) {
    try {
      unlinkSync(path);
    } catch (error) {
      ignore('ENOENT')(error);
    }
  }
});

async function writeWhole(handle: FileHandle, data: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < data.byteLength) {
    const { bytesWritten } = await handle.write(data, offset);
    offset += bytesWritten;
  }
}

async function lstatIfThere(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw fileFailure(error, path);
  }
}

async function followLink(name: string): Promise<string> {
  try {
    return await realpath(name);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return name;
    throw fileFailure(error, name);
  }
}

/** The name is only as lasting as the folder that holds it. */
async function syncFolder(path: string): Promise<void> {
  try {
    const handle = await open(path, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    // Folders that cannot be read, and file systems that do not sync folders.
    ignore('EACCES', 'EINVAL', 'ENOTSUP')(error);
  }
}

function ignore(...codes: readonly string[]): (error: unknown) => void {
  return (error) => {
    if (!codes.some((code) => isSystemError(error, code))) throw error;
  };
}

function alreadyExists(name: string): FileError {
  return new FileError('ALREADY_EXISTS', `${name} exists; choose another name or pass --force`);
}

function isDirectory(name: string): FileError {
  return new FileError('INVALID_ARGUMENT', `${name} is a directory; give the name of a file`);
}
