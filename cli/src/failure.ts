import { getSystemErrorMap } from 'node:util';

import type { ErrorCodeName } from '@axle/core';

import { printable } from './printable.js';

/** What `axle` ends with. A signal adds its number to 128, as shells do. */
export const ExitCode = { ok: 0, failure: 1, usage: 2, brokenPipe: 141 } as const;

/** The command line asks for something that cannot be: exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A file, or what is in it, cannot be used: exit 1. */
export class FileError extends Error {
  override readonly name = 'FileError';

  constructor(
    readonly code: ErrorCodeName,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

const codeOfSystemError: Readonly<Record<string, ErrorCodeName>> = {
  ENOENT: 'NOT_FOUND',
  EEXIST: 'ALREADY_EXISTS',
  EACCES: 'PERMISSION_DENIED',
  EPERM: 'PERMISSION_DENIED',
  EROFS: 'PERMISSION_DENIED',
  ENOSPC: 'RESOURCE_EXHAUSTED',
  EDQUOT: 'RESOURCE_EXHAUSTED',
  EFBIG: 'RESOURCE_EXHAUSTED',
  EMFILE: 'RESOURCE_EXHAUSTED',
  ENFILE: 'RESOURCE_EXHAUSTED',
  EIO: 'DATA_LOSS',
  EISDIR: 'INVALID_ARGUMENT',
  ENOTDIR: 'INVALID_ARGUMENT',
  ENAMETOOLONG: 'INVALID_ARGUMENT',
  ELOOP: 'INVALID_ARGUMENT',
};

/** A failed call of the file system, said of the file as the user named it. Other errors pass through. */
export function fileFailure<E>(error: E, fileName: string): E | FileError {
  if (!isSystemError(error) || error.code === 'EPIPE') return error;
  const [, text] = getSystemErrorMap().get(error.errno ?? 0) ?? [];
  return new FileError(
    codeOfSystemError[error.code] ?? 'UNKNOWN',
    `${fileName}: ${text ?? error.message}`,
    { cause: error },
  );
}

export function isSystemError(
  error: unknown,
  code?: string,
): error is NodeJS.ErrnoException & { code: string } {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return false;
  return typeof error.code === 'string' && (code === undefined || error.code === code);
}

/** What `--json` says of a failed element. */
export interface FailureReport {
  readonly code: string;
  readonly message: string;
}

export function failureReport(error: unknown): FailureReport {
  const known = fileFailure(error, pathOf(error));
  const code = known instanceof Error && 'code' in known ? known.code : undefined;
  return { code: typeof code === 'string' ? code : 'UNKNOWN', message: oneLine(known) };
}

/** The message of anything thrown, on one line and safe for a terminal. */
export function oneLine(error: unknown): string {
  const known = fileFailure(error, pathOf(error));
  const message = known instanceof Error ? known.message || known.name : String(known);
  return printable(message.trim().replace(/\s*[\r\n]+\s*/g, '; '));
}

function pathOf(error: unknown): string {
  return isSystemError(error) ? (error.path ?? error.syscall ?? 'system') : '';
}
