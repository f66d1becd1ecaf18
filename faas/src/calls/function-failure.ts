import { AxleError } from 'axle';

/** By the status that HTTP has for it: `threw` 500, `broken` 502, `away` 503. */
export type FunctionFailure = 'threw' | 'broken' | 'away';

/** Errors of functions. Not by their codes: what a function fails with may be any of them. */
const failures = new WeakMap<AxleError, FunctionFailure>();

/**
 * Says that an error is the function's, and no refusal of the front end: that it threw it, or that it does not run.
 *
 * @returns the error
 */
export function ofFunction(error: AxleError, failure: FunctionFailure): AxleError {
  failures.set(error, failure);
  return error;
}

/** Undefined: it is the front end's. */
export function functionFailureOf(error: unknown): FunctionFailure | undefined {
  return error instanceof AxleError ? failures.get(error) : undefined;
}
