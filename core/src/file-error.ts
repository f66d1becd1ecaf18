import { AxleError, messageOf } from './errors.js';
import type { ErrorCodeName } from './generated/constants.js';

const codes: Readonly<Record<string, ErrorCodeName>> = {
  ENOENT: 'NOT_FOUND',
  ENOTDIR: 'NOT_FOUND',
  EACCES: 'PERMISSION_DENIED',
  EPERM: 'PERMISSION_DENIED',
  EISDIR: 'INVALID_ARGUMENT',
  ELOOP: 'INVALID_ARGUMENT',
  ENAMETOOLONG: 'INVALID_ARGUMENT',
  ERR_INVALID_ARG_VALUE: 'INVALID_ARGUMENT',
  EMFILE: 'RESOURCE_EXHAUSTED',
  ENFILE: 'RESOURCE_EXHAUSTED',
  ENOMEM: 'RESOURCE_EXHAUSTED',
};

/**
 * What the system said of a file, as an AxleError with the code that says whose fault it was.
 *
 * @param what what could not be done: 'cannot read /x'.
 */
export function fileError(what: string, error: unknown): AxleError {
  if (error instanceof AxleError) return error;
  const systemCode = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  const code = codes[systemCode ?? ''] ?? 'UNKNOWN';
  return new AxleError(code, `${what}: ${messageOf(error)}`, { cause: error });
}
