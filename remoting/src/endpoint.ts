import { AxleError } from '@axle/core/internal';

import { socketPathProblem } from './socket-path.js';

/** Where a server listens. */
export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp' | 'tls'; readonly host: string; readonly port: number };

export const defaultPort = 7471;

/** Of URLs that name one. */
export const endpointSchemes: ReadonlySet<string> = new Set(['axle+unix:', 'axle:', 'axle+tls:']);

/**
 * Reads `axle+unix:/run/axle.sock`, `axle://host:port` or `axle+tls://host:port`.
 *
 * @throws AxleError INVALID_ARGUMENT saying what it should look like.
 */
export function readEndpoint(url: URL): Endpoint {
  if (url.username !== '' || url.password !== '') {
    // Not quoted: it may be a secret.
    throw new AxleError(
      'INVALID_ARGUMENT',
      'a URL has no place for credentials, since URLs are logged; give a token by AXLE_TOKEN, AXLE_TOKEN_FILE or the ' +
        "option 'token'",
    );
  }
  if (url.protocol === 'axle+unix:') {
    const path = decodeURIComponent(url.pathname);
    if (url.host !== '' || !path.startsWith('/')) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        `${url.href} names no socket; give axle+unix: and an absolute path: axle+unix:/run/axle.sock`,
      );
    }
    const problem = socketPathProblem(path);
    if (problem !== undefined) {
      throw new AxleError('INVALID_ARGUMENT', `${url.href} names no socket: ${problem}`);
    }
    return { kind: 'unix', path };
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (host === '') {
    throw new AxleError('INVALID_ARGUMENT', `${url.href} names no host; give axle://host:port`);
  }
  const port = url.port === '' ? defaultPort : Number(url.port);
  return { kind: url.protocol === 'axle+tls:' ? 'tls' : 'tcp', host, port };
}
