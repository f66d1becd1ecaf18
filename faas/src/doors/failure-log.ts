import { asAxleError } from '../as-axle-error.js';
import { functionFailureOf } from '../calls/function-failure.js';

/** Tells the operator of what failed in the front end itself; of what functions and clients do, their answers tell. */
export type FailureLog = (error: unknown, what: string) => void;

const ofTheFrontEnd: ReadonlySet<string> = new Set(['INTERNAL', 'DATA_LOSS', 'UNKNOWN']);

export function failureLog(log: (message: string) => void): FailureLog {
  return (thrown, what) => {
    if (functionFailureOf(thrown) !== undefined) return;
    const error = asAxleError(thrown);
    if (!ofTheFrontEnd.has(error.code)) return;
    const { cause = error } = error;
    log(`${what} failed: ${error.message}: ${(cause as Error).stack ?? String(cause)}`);
  };
}
