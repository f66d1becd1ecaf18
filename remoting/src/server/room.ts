import { AxleError } from '@axle/core/internal';

import type { Front } from './front.js';

/**
 * Whether one more call may begin, whose frame is followed by so many bytes.
 *
 * @throws AxleError RESOURCE_EXHAUSTED
 */
export function checkRoom(
  { unanswered, session, requestBytesMax, bytesDue }: Front,
  bytes: number,
): void {
  const { callsInFlightMax } = session.limits;
  // This one is among them.
  if (unanswered > callsInFlightMax) {
    throw AxleError.expected(
      'RESOURCE_EXHAUSTED',
      `${callsInFlightMax} calls of this connection are not answered; await some of them first`,
    );
  }
  if (bytes > requestBytesMax) {
    throw new AxleError(
      'RESOURCE_EXHAUSTED',
      `the inputs have ${bytes} bytes; this server takes ${requestBytesMax}`,
      { retryable: false },
    );
  }
  if (bytesDue + bytes > requestBytesMax) {
    throw AxleError.expected(
      'RESOURCE_EXHAUSTED',
      `calls that are being sent have ${bytesDue} bytes already; await them first`,
    );
  }
}
