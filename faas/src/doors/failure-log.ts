import { AxleError } from 'axle';

import { asAxleError } from '../as-axle-error.js';
import { functionFailureOf } from '../calls/function-failure.js';

/** Tells the operator of what failed in the front end itself; of what functions and clients do, their answers tell. */
export type FailureLog = (error: unknown, what: string) => void;

const ofTheFrontEnd: ReadonlySet<string> = new Set(['INTERNAL', 'DATA_LOSS', 'UNKNOWN']);

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return (error.stack ?? error.message).replace(/^AxleError: /, '');
}

export function failureLog(log: (message: string) => void): FailureLog {
  return (thrown, what) => {
    if (functionFailureOf(thrown) !== undefined) return;
    const error = asAxleError(thrown);
    // What the system says, such as of a full disk, is for the operator whatever its code.
    const isOfTheSystem = !(thrown instanceof AxleError) && error.code !== 'CANCELLED';
    if (!isOfTheSystem && !ofTheFrontEnd.has(error.code)) return;
    const { cause } = error;
    // A stack begins with its message; what callers are told of what is no AxleError is no news here.
    const parts = isOfTheSystem || cause === undefined ? [] : [error.message];
    log([`${what} failed`, ...parts, stackOf(cause ?? error)].join(': '));
  };
}
