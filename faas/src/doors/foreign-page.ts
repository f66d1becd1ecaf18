import type { IncomingMessage } from 'node:http';

import type { Headers } from '../calls/function-call.js';

/**
 * Functions answer from the origin of the front end's own page, to which a browser adds the password. What they answer
 * with is shown in a sandbox, which has an origin of its own: scripts run, and reach nothing of the front end.
 */
const sandbox = 'sandbox allow-scripts allow-forms allow-downloads allow-modals allow-popups';

/** Whether a browser is to show the answer: as it says, and where it does not, since the connection is no secure one, by what it takes. */
export function isPageVisit({ headers }: IncomingMessage): boolean {
  const { 'sec-fetch-mode': mode, accept = '' } = headers;
  return mode === undefined ? accept.includes('text/html') : mode === 'navigate';
}

/** Headers of an answer that a browser shows; the function's own policies count as well. */
export function foreignPage(given: Headers): Readonly<Record<string, string>> {
  const own = [given['content-security-policy'] ?? []].flat();
  return {
    'content-security-policy': [...own, sandbox].join(', '),
    'x-content-type-options': 'nosniff',
  };
}
