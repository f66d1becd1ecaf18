/** Names of Axle's error codes. */
export type GuestErrorCode =
  'NOT_FOUND' | 'INVALID_ARGUMENT' | 'UNAVAILABLE' | 'DEADLINE_EXCEEDED' | 'RESOURCE_EXHAUSTED';

/** Why a guest could not be run to its end. */
export class GuestError extends Error {
  override readonly name = 'GuestError';

  constructor(
    readonly code: GuestErrorCode,
    message: string,
  ) {
    super(message);
  }
}
