import { AxleError, type ErrorCodeName } from '@axle/core/internal';

/** Why a connection ended, where the same would not be met again by another try. */
const passing: ReadonlySet<ErrorCodeName> = new Set(['UNAVAILABLE', 'RESOURCE_EXHAUSTED']);
/** What the user of the client did or has to do something about. */
const forTheUser: ReadonlySet<ErrorCodeName> = new Set([
  'CANCELLED',
  'FAILED_PRECONDITION',
  'PERMISSION_DENIED',
  'UNAUTHENTICATED',
]);

/** Another try may succeed where this one failed. */
export function mayPass({ code }: AxleError): boolean {
  return passing.has(code);
}

/** Fails what did not run, or may run again. */
export function connectionLost(reason: AxleError): AxleError {
  if (forTheUser.has(reason.code)) return reason;
  return new AxleError(
    'UNAVAILABLE',
    `the connection to the server was lost (${reason.message}); try again later`,
    { cause: reason },
  );
}

/** Fails what was sent and not answered, and must not run twice. */
export function outcomeUnknown(reason: AxleError): AxleError {
  return new AxleError(
    'ABORTED',
    `outcome unknown, not retryable: the connection was lost before the answer (${reason.message}), the call may have run, ` +
      'and its op is neither pure nor idempotent; look for its effect before it is tried again',
    { cause: reason, outcomeUnknown: true },
  );
}
