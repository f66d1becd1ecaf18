import type { AxleError } from 'axle';

import { functionFailureOf, type FunctionFailure } from '../calls/function-failure.js';

const statuses: Readonly<Partial<Record<AxleError['code'], number>>> = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  OUT_OF_RANGE: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  ABORTED: 409,
  CANCELLED: 499,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
};
const tooLarge = 413;
const tooMany = 429;

const functionStatuses: Readonly<Record<FunctionFailure, number>> = {
  threw: 500,
  broken: 502,
  away: 503,
  tooLarge: 413,
};

/** Codes of the front end's own refusals each have a status; a function that fails gets none of those, whatever its code. */
export function httpStatusOf(error: AxleError): number {
  const failure = functionFailureOf(error);
  return failure === undefined ? statusOfCode(error) : functionStatuses[failure];
}

/** Of what a limit refused, whether it is worth another try decides. */
export function statusOfCode({ code, retryable }: AxleError): number {
  if (code === 'RESOURCE_EXHAUSTED') return retryable ? tooMany : tooLarge;
  return statuses[code] ?? 500;
}
