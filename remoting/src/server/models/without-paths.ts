import { basename, resolve, sep } from 'node:path';

import { AxleError } from '@axle/core/internal';

/**
 * An error as clients may see it: where the server keeps its files is no business of theirs. Paths are told from these
 * folders on; the cause says all.
 */
export function withoutPaths(error: unknown, folders: readonly string[]): unknown {
  if (!(error instanceof AxleError)) return error;
  const { code, message, retryable } = error;
  let told = message;
  // The longest first: one may lie in another.
  const known = [...new Set(folders.flatMap((folder) => [folder, resolve(folder)]))];
  for (const folder of known.sort((a, b) => b.length - a.length)) {
    const bare = folder.endsWith(sep) ? folder.slice(0, -1) : folder;
    if (bare === '' || bare === '.') continue;
    told = told.replaceAll(bare + sep, '').replaceAll(bare, basename(bare));
  }
  return told === message ? error : new AxleError(code, told, { retryable, cause: error });
}
