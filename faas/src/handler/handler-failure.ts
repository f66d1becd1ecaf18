import type { AxleError } from 'axle/errors';

import {
  failureMessageMax,
  thrownTypeMax,
  traceLineMax,
  traceLinesMax,
  type Failure,
  type ThrownError,
} from '../channel/failure.js';
import { isBodyTooLarge } from './function-event.js';

/** What a module threw while it was loaded, by the error that says so. */
const causes = new WeakMap<AxleError, unknown>();

/** @returns the error */
export function ofLoading(error: AxleError, cause: unknown): AxleError {
  causes.set(error, cause);
  return error;
}

/** An AxleError keeps its code: of a pool that is gone for now, the caller is to hear that. */
export function failureOf(error: unknown): Failure {
  try {
    return readError(error);
  } catch {
    return { code: 'INTERNAL', message: 'the function threw what throws when it is looked at' };
  }
}

function readError(error: unknown): Failure {
  const { name, code, retryable } = (error ?? {}) as Partial<AxleError>;
  const message = messageOf(error);
  const thrown = thrownOf(causes.get(error as AxleError) ?? error);
  if (name === 'AxleError' && code !== undefined) {
    const tooLarge = isBodyTooLarge(error) ? { isBodyTooLarge: true } : {};
    return { code, message, retryable: retryable === true, ...tooLarge, thrown };
  }
  return { code: 'INTERNAL', message: `the function threw: ${message}`, thrown };
}

export function messageOf(error: unknown): string {
  try {
    return (error instanceof Error ? error.message : String(error)).slice(0, failureMessageMax);
  } catch {
    return 'something that has no text';
  }
}

/** What is no error is named by its type. */
function thrownOf(error: unknown): ThrownError {
  const message = messageOf(error);
  if (!(error instanceof Error)) return { type: typeof error, message, trace: [] };
  const lines = String(error.stack ?? '').split('\n', traceLinesMax);
  const trace = lines.map((line) => line.slice(0, traceLineMax));
  return { type: classOf(error).slice(0, thrownTypeMax), message, trace };
}

/** Classes that do not name their errors leave them the name of what they extend. */
function classOf(error: Error): string {
  const { name } = error;
  return String(name === 'Error' ? error.constructor.name || name : name);
}
