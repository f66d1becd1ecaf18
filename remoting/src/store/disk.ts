import { open } from 'node:fs/promises';

import { AxleError, fileError } from '@axle/core/internal';

const fullCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** What the system said while the store wrote, without the paths of the server: clients read it. */
export function storeError(error: unknown): AxleError {
  if (error instanceof AxleError) return error;
  const { code = '' } = error as NodeJS.ErrnoException;
  if (fullCodes.has(code)) {
    return new AxleError(
      'RESOURCE_EXHAUSTED',
      `the disk of the server's model store is full (${code}): free space there, or start the server with another --store`,
      { cause: error },
    );
  }
  const { code: axleCode } = fileError('', error);
  return new AxleError(
    axleCode === 'UNKNOWN' ? 'INTERNAL' : axleCode,
    `the server's model store failed (${code || 'no system error'}); its operator finds more in the cause`,
    { cause: error },
  );
}

/** Makes what was renamed or made in a folder last through a loss of power. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
