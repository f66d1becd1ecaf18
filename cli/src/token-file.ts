import { constants, open, unlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

import {
  readTokenLines,
  tokenFileBytesMax,
  writeTokenLines,
  type TokenRecord,
} from '@axle/remoting';

import { AtomicFile } from './atomic-file.js';
import { FileError, fileFailure, isSystemError } from './failure.js';

const privateMode = 0o600;
/** How long another command may hold the file. */
const lockMsMax = 5000;
const lockRetryMs = 50;

/** @throws FileError, AxleError for a file that holds something else. */
export async function readTokenFile(path: string): Promise<TokenRecord[]> {
  return readTokenLines(await readText(path), path);
}

/**
 * Changes a file of tokens as a whole: who reads it sees it as it was or as it is. Commands that change it at the same time
 * take turns.
 *
 * @param create a file that is not there counts as empty
 */
export async function changeTokenFile(
  path: string,
  create: boolean,
  change: (records: readonly TokenRecord[]) => readonly TokenRecord[],
): Promise<void> {
  const lock = await acquireLock(`${path}.lock`);
  try {
    const text = await readText(path).catch((error: unknown) => {
      if (create && error instanceof FileError && error.code === 'NOT_FOUND') return '';
      throw error;
    });
    const changed = writeTokenLines(change(readTokenLines(text, path)));
    const file = await AtomicFile.create(path, { overwrite: true, mode: privateMode });
    try {
      await file.write(Buffer.from(changed));
      await file.commit();
    } finally {
      await file.discard();
    }
  } finally {
    await unlink(lock);
  }
}

async function readText(path: string): Promise<string> {
  try {
    const handle = await open(path);
    try {
      const { size } = await handle.stat();
      if (size > tokenFileBytesMax) {
        throw new FileError('RESOURCE_EXHAUSTED', `${path} has ${size} bytes: no file of tokens`);
      }
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileFailure(error, path);
  }
}

async function acquireLock(path: string): Promise<string> {
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY;
  const giveUpAt = performance.now() + lockMsMax;
  for (;;) {
    try {
      await (await open(path, flags, privateMode)).close();
      return path;
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw fileFailure(error, path);
    }
    if (performance.now() > giveUpAt) {
      throw new FileError(
        'ALREADY_EXISTS',
        `another axle token has held ${path} for long; if none runs any more, remove that file`,
      );
    }
    await delay(lockRetryMs);
  }
}
