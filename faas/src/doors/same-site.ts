import type { IncomingMessage } from 'node:http';

import { AxleError } from 'axle';

/**
 * Refuses what another site's page makes a browser send: it would add the password that the user gave for this one.
 * Programs send neither header.
 *
 * @throws AxleError PERMISSION_DENIED
 */
export function checkSameSite({ headers }: IncomingMessage): void {
  const { origin, host, 'sec-fetch-site': site } = headers;
  const isOwn = site === undefined || site === 'same-origin' || site === 'none';
  if (isOwn && (origin === undefined || hostOf(origin) === host)) return;
  throw AxleError.expected('PERMISSION_DENIED', 'pages of other sites may not do this');
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
