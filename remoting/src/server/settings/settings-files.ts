import { open } from 'node:fs/promises';

import { AxleError, messageOf } from '@axle/core/internal';

import { fileState, type FileStates } from './file-watch.js';

/** Reads the files that settings are in, each within a limit, and remembers as which it read them. */
export class SettingsFiles {
  private readonly read = new Map<string, string>();

  get states(): FileStates {
    return this.read;
  }

  /**
   * @param what it is, for messages
   * @param forbiddenMode permissions that it must not have
   * @throws AxleError NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED
   */
  async bytes(path: string, bytesMax: number, what: string, forbiddenMode = 0): Promise<Buffer> {
    let handle;
    try {
      handle = await open(path);
      const stats = await handle.stat();
      this.read.set(path, fileState(stats));
      if (stats.size > bytesMax) throw tooLong(path, stats.size, bytesMax);
      if ((stats.mode & forbiddenMode) !== 0) throw writable(path, what);
      return await handle.readFile();
    } catch (error) {
      throw error instanceof AxleError ? error : unreadable(error, what);
    } finally {
      await handle?.close();
    }
  }
}

function tooLong(path: string, bytes: number, bytesMax: number): AxleError {
  const message = `${path} has ${bytes} bytes, and at most ${bytesMax} are read; is it the right file?`;
  return new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
}

function writable(path: string, what: string): AxleError {
  const message = `${path}: others may write ${what}, and so let themselves in; chmod 600 it`;
  return new AxleError('PERMISSION_DENIED', message);
}

function unreadable(error: unknown, what: string): AxleError {
  const { code } = error as NodeJS.ErrnoException;
  return new AxleError(
    code === 'ENOENT' ? 'NOT_FOUND' : 'PERMISSION_DENIED',
    `cannot read ${what}: ${messageOf(error)}`,
    { cause: error },
  );
}
