import type { LogFields } from './log.js';

/** For programs: one object of JSON, on one line whatever is in it. */
export function jsonLine(
  time: Date,
  message: string,
  { level = 'info', ...fields }: LogFields = {},
): string {
  return JSON.stringify({ time: time.toISOString(), level, message, ...fields });
}

/** For people: the message, and by which request it is found again. */
export function textLine(message: string, { requestId, tenant }: LogFields = {}): string {
  if (requestId === undefined) return message;
  const of = tenant === undefined ? '' : ` of ${tenant}`;
  return `${message} (request ${requestId}${of})`;
}
