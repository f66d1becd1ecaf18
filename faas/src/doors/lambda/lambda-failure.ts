import type { AxleError } from 'axle';

import { detailsOf, functionFailureOf } from '../../calls/function-failure.js';

/** A call whose function failed, in the JSON that AWS's runtimes answer with. */
export interface LambdaFailure {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: readonly string[];
}

export interface FailedCall {
  readonly id: string;
  /** Of the function. */
  readonly timeoutMs: number;
}

/**
 * What a function did itself is an answer of Lambda (200), since another try would do the same: an SDK repeats whatever is
 * 5xx.
 *
 * @returns undefined: it is not the function's, or it was not even tried.
 */
export function lambdaFailureOf(
  error: AxleError,
  { id, timeoutMs }: FailedCall,
): LambdaFailure | undefined {
  const details = detailsOf(error);
  const ofCall = (errorType: string, message: string): LambdaFailure => ({
    errorType,
    errorMessage: `RequestId: ${id} Error: ${message}`,
  });
  switch (details?.kind) {
    case 'threw': {
      const { type: errorType, message: errorMessage, trace } = details;
      return { errorType, errorMessage, trace };
    }
    case 'exited':
      return ofCall('Runtime.ExitError', error.message);
    case 'overMemory':
      return ofCall('Runtime.OutOfMemory', error.message);
    case 'timedOut':
      return ofCall(
        'Sandbox.Timedout',
        `Task timed out after ${(timeoutMs / 1000).toFixed(2)} seconds`,
      );
    case undefined:
      break;
  }
  // Such as an answer that is none.
  return functionFailureOf(error) === 'threw'
    ? ofCall('Runtime.Unknown', error.message)
    : undefined;
}
