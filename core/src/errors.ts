import { ERROR_CODE_RETRYABLE, ErrorCode, type ErrorCodeName } from './generated/constants.js';

export interface AxleErrorOptions {
  readonly cause?: unknown;
  /** Overrides what the code says by itself. */
  readonly retryable?: boolean;
  /** The call may have run, and nobody knows: it is not retryable then. */
  readonly outcomeUnknown?: boolean;
  /** Position in the array that the caller passed in, where one element of several failed. */
  readonly index?: number | undefined;
  /** How long it would have taken at the least, milliseconds from the refusal: of a deadline that could not be met. */
  readonly earliestMs?: number | undefined;
  /** It is of no use to try again sooner, milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

/**
 * The one error class of all layers. `code` is stable and numbered as in gRPC; the message says what was wrong and
 * what to do; `retryable` says whether the same call may pass later, and `outcomeUnknown` that it may have run though it
 * gave no result: its connection was lost, and its op is neither pure nor idempotent. Aborts are not of this class: they follow the
 * platform and reject with the signal's reason (an `AbortError` by default).
 */
export class AxleError extends Error {
  override readonly name = 'AxleError';
  readonly code: ErrorCodeName;
  readonly retryable: boolean;
  readonly outcomeUnknown: boolean;
  readonly index: number | undefined;
  /**
   * Of DEADLINE_EXCEEDED that was told at once: with a deadline this long, milliseconds from then, it could have been done at
   * the earliest. Undefined: not known.
   */
  readonly earliestMs: number | undefined;
  /** Trying again is of no use sooner than after so long, milliseconds. Undefined: not known. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCodeName, message: string, options: AxleErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.outcomeUnknown = options.outcomeUnknown ?? false;
    this.retryable = !this.outcomeUnknown && (options.retryable ?? ERROR_CODE_RETRYABLE[code]);
    this.index = options.index;
    this.earliestMs = options.earliestMs;
    this.retryAfterMs = options.retryAfterMs;
  }

  /**
   * An error of daily business under load, such as a deadline that passed: without a stack trace, which would cost more
   * than the rest of the call and shows nothing but the inside of a queue.
   */
  static expected(code: ErrorCodeName, message: string, options: AxleErrorOptions = {}): AxleError {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    try {
      return new AxleError(code, message, options);
    } finally {
      Error.stackTraceLimit = limit;
    }
  }
}

const nameById = new Map<number, ErrorCodeName>(
  (Object.keys(ErrorCode) as ErrorCodeName[]).map((name) => [ErrorCode[name], name]),
);

/** The code of a status number from the ABI or the wire; numbers that are not known are UNKNOWN. */
export function errorCodeOf(status: number): ErrorCodeName {
  return nameById.get(status) ?? 'UNKNOWN';
}

/** The same error saying at which element of the caller's array it happened. Aborts pass through. */
export function errorAtIndex(error: unknown, index: number): unknown {
  if (!(error instanceof AxleError)) return error;
  return new AxleError(error.code, `input ${index}: ${error.message}`, {
    cause: error,
    retryable: error.retryable,
    outcomeUnknown: error.outcomeUnknown,
    earliestMs: error.earliestMs,
    retryAfterMs: error.retryAfterMs,
    index,
  });
}

/** Anything that was thrown; what is no AxleError is a fault of whoever threw it. */
export function asAxleError(error: unknown): AxleError {
  return error instanceof AxleError
    ? error
    : new AxleError('INTERNAL', messageOf(error), { cause: error });
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
