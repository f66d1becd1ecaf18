import type { AxleError } from 'axle';

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

/** Of what a limit refused, whether it is worth another try decides. */
export function httpStatusOf({ code, retryable }: AxleError): number {
  if (code === 'RESOURCE_EXHAUSTED') return retryable ? tooMany : tooLarge;
  return statuses[code] ?? 500;
}
