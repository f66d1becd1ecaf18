import { AxleError } from 'axle';

/**
 * By the status that HTTP has for it: `threw` 500, `broken` 502, `away` 503; `tooLarge` 413: it reads bodies as a whole,
 * and this one is longer than it may be then.
 */
export type FunctionFailure = 'threw' | 'broken' | 'away' | 'tooLarge';

/** What there is to tell of a failure besides its code. */
export type FailureDetails =
  /** As the handler threw it: the name of its class, its own message, and the lines of its stack. */
  | {
      readonly kind: 'threw';
      readonly type: string;
      readonly message: string;
      readonly trace: readonly string[];
    }
  /** Its process, thread or program ended by itself. */
  | { readonly kind: 'exited' }
  | { readonly kind: 'overMemory' }
  | { readonly kind: 'timedOut' };

/** Errors of functions. Not by their codes: what a function fails with may be any of them. */
const failures = new WeakMap<AxleError, FunctionFailure>();
const details = new WeakMap<AxleError, FailureDetails>();

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

/** @returns the error */
export function withDetails(error: AxleError, told: FailureDetails | undefined): AxleError {
  if (told !== undefined) details.set(error, told);
  return error;
}

/** Undefined: there are none. */
export function detailsOf(error: unknown): FailureDetails | undefined {
  return error instanceof AxleError ? details.get(error) : undefined;
}
