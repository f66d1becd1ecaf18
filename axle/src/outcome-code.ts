import { AxleError, type ErrorCodeName } from '@axle/core';

/**
 * The code under which a failed call is counted. A call rejects with what its signal says when it is aborted, and with
 * the error of a stream that it reads, which have no code of ours: the platform's two kinds of abort get the code that
 * fits, the rest is UNKNOWN.
 */
export function outcomeCode(error: unknown): ErrorCodeName {
  if (error instanceof AxleError) return error.code;
  const name = error instanceof Error ? error.name : '';
  if (name === 'AbortError') return 'CANCELLED';
  if (name === 'TimeoutError') return 'DEADLINE_EXCEEDED';
  return 'UNKNOWN';
}
