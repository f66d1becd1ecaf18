/** What FAILED says: JSON. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly retryable?: boolean;
  /** A body that was to be read as a whole is longer than may be. */
  readonly isBodyTooLarge?: boolean;
  /** The error as it was thrown. */
  readonly thrown?: ThrownError;
}

export interface ThrownError {
  /** The name of its class. */
  readonly type: string;
  readonly message: string;
  /** The lines of its stack. */
  readonly trace: readonly string[];
}

export const failureMessageMax = 4096;
export const thrownTypeMax = 256;
export const traceLinesMax = 32;
export const traceLineMax = 512;
