import { readdir } from 'node:fs/promises';

import { fileFailure } from '../failure.js';

/**
 * @param source what names them, for the message
 * @throws FileError for a folder that is not there: what would be served from it is not what is meant.
 */
export async function checkModelFolders(folders: readonly string[], source: string): Promise<void> {
  for (const folder of folders) {
    await readdir(folder).catch((error: unknown) => {
      throw fileFailure(error, `${folder} (of ${source})`);
    });
  }
}
