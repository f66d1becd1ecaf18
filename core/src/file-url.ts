import { fileURLToPath } from 'node:url';

import { AxleError, messageOf } from './errors.js';

/**
 * @param advice what to give instead of a URL of another scheme.
 * @throws AxleError INVALID_ARGUMENT for a URL that names no file of this machine.
 */
export function pathOfUrl(url: URL, advice: string): string {
  if (url.protocol !== 'file:') {
    throw new AxleError('INVALID_ARGUMENT', `'${url.href}' is no file URL; ${advice}`);
  }
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new AxleError('INVALID_ARGUMENT', `'${url.href}': ${messageOf(error)}`, { cause: error });
  }
}
