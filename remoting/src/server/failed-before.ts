import { AxleError } from '@axle/core/internal';

/** What a frame names is not there because another handle failed. */
export class FailedBefore extends AxleError {
  constructor(
    reason: AxleError,
    /** The one that failed first. */
    readonly handle: number,
  ) {
    const { code, message, retryable, earliestMs, retryAfterMs } = reason;
    super(code, message, { retryable, earliestMs, retryAfterMs, cause: reason });
  }
}
