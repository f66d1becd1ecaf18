import { open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import { AxleError } from '@axle/core/internal';

/** Keeps two servers from one store: each would take away what the other has. */
export class StoreLock {
  private constructor(private readonly path: string) {}

  /** @throws AxleError FAILED_PRECONDITION when a process that runs has it. */
  static async take(folder: string): Promise<StoreLock> {
    const path = join(folder, 'lock');
    const holder = Number(await readFile(path, 'utf8').catch(() => ''));
    if (holder > 0 && holder !== process.pid && isRunning(holder)) {
      throw new AxleError(
        'FAILED_PRECONDITION',
        `process ${holder} uses the store ${folder}; give each server a --store of its own, or remove ${path} if that process is no server`,
      );
    }
    const file = await open(path, 'w', 0o600);
    await file.writeFile(String(process.pid));
    await file.close();
    return new StoreLock(path);
  }

  async release(): Promise<void> {
    await unlink(this.path).catch(() => undefined);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
