import { ErrorCode, type AxleError, type ErrorCodeName } from '@axle/core/internal';

/** The status of gRPC: the codes of all layers are its numbers. */
export function grpcStatusOf({ code }: AxleError): number {
  return ErrorCode[code];
}

const httpStatuses: Readonly<Partial<Record<ErrorCodeName, number>>> = {
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
const otherStatus = 500;
const tooLarge = 413;
const tryLater = 503;

/** Of what a limit refused, whether it is worth another try decides. */
export function httpStatusOf({ code, retryable }: AxleError): number {
  if (code === 'RESOURCE_EXHAUSTED') return retryable ? tryLater : tooLarge;
  return httpStatuses[code] ?? otherStatus;
}
