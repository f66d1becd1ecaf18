import { AxleError, type ErrorCodeName } from '@axle/core/internal';

/** Why a request failed, in Triton's words. */
export const failureReasons = ['REJECTED', 'CANCELED', 'BACKEND', 'OTHER'] as const;
export type FailureReason = (typeof failureReasons)[number];

const reasons: Partial<Readonly<Record<ErrorCodeName, FailureReason>>> = {
  // By its time in a queue, or the length of one.
  DEADLINE_EXCEEDED: 'REJECTED',
  RESOURCE_EXHAUSTED: 'REJECTED',
  CANCELLED: 'CANCELED',
  INTERNAL: 'BACKEND',
  UNAVAILABLE: 'BACKEND',
  UNKNOWN: 'BACKEND',
  DATA_LOSS: 'BACKEND',
};

export function failureReason(error: unknown): FailureReason {
  if (error instanceof AxleError) return reasons[error.code] ?? 'OTHER';
  const name = error instanceof Error ? error.name : '';
  if (name === 'AbortError') return 'CANCELED';
  return name === 'TimeoutError' ? 'REJECTED' : 'BACKEND';
}
