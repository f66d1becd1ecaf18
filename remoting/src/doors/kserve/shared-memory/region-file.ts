import { constants, type Stats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { AxleError, messageOf } from '@axle/core/internal';

/** Where Linux keeps the shared memory of POSIX. */
const folder = '/dev/shm';
const { O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;
const writableByAll = 0o002;
/** Of what follows the tenant; names of tenants hold no colon, so that no key is of two of them. */
const ownPart = /^[\w.-]{1,128}$/;

/**
 * The memory behind a key, which belongs to the tenant by its name: `/axle:TENANT:ANYTHING`. The server may be able to open
 * more than its client, so it opens no other.
 *
 * @throws AxleError PERMISSION_DENIED for another key, or for memory that others could change; NOT_FOUND;
 * INVALID_ARGUMENT for what is no memory.
 */
export async function openRegionFile(tenant: string, key: string): Promise<FileHandle> {
  const prefix = `/axle:${tenant}:`;
  const own = key.startsWith(prefix) ? key.slice(prefix.length) : '';
  if (!ownPart.test(own)) {
    throw new AxleError(
      'PERMISSION_DENIED',
      `the key of shared memory is none of tenant ${tenant}; name it ${prefix} and letters, digits, . _ or -`,
    );
  }
  const path = join(folder, key.slice(1));
  const file = await opened(path, key);
  try {
    check(await file.stat(), key);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function opened(path: string, key: string): Promise<FileHandle> {
  try {
    // A pipe would be waited for, and a link may lead anywhere.
    return await open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') {
      throw new AxleError('NOT_FOUND', `there is no shared memory '${key}'; create it first`);
    }
    if (code === 'EACCES') {
      throw new AxleError(
        'PERMISSION_DENIED',
        `the server may not read and write '${key}'; give its user the right to`,
      );
    }
    throw new AxleError('INVALID_ARGUMENT', `'${key}' cannot be opened: ${messageOf(error)}`);
  }
}

function check(stats: Stats, key: string): void {
  if (!stats.isFile()) throw new AxleError('INVALID_ARGUMENT', `'${key}' is no shared memory`);
  // A second name may have been given to memory of somebody else.
  if (stats.nlink > 1) {
    throw new AxleError('PERMISSION_DENIED', `'${key}' is a second name of other memory`);
  }
  if ((stats.mode & writableByAll) !== 0) {
    throw new AxleError(
      'PERMISSION_DENIED',
      `anyone may write to '${key}'; take that right away (mode 0600, or 0660 for a group)`,
    );
  }
}
