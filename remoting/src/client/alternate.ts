import { AxleError } from '@axle/core/internal';

import { readEndpoint, type Endpoint } from '../endpoint.js';

/** Endpoints that a client's user allows, by URL. */
export type Alternates = ReadonlyMap<string, Endpoint>;

const schemes: ReadonlySet<string> = new Set(['axle+unix:', 'axle:', 'axle+tls:']);

/** @throws AxleError INVALID_ARGUMENT for what is no endpoint. */
export function readAlternates(urls: readonly string[]): Alternates {
  return new Map(
    urls.map((text) => {
      const url = URL.canParse(text) ? new URL(text) : undefined;
      if (url === undefined || !schemes.has(url.protocol)) {
        throw new AxleError(
          'INVALID_ARGUMENT',
          `'${text}' in 'alternates' is no endpoint; give axle+unix:/PATH, axle+tls://HOST:PORT or axle://HOST:PORT`,
        );
      }
      return [url.href, readEndpoint(url)];
    }),
  );
}

/** A unix socket has its mode and owner, TLS its keys; what goes over plain TCP anyone on the way can read. */
function isPrivate({ kind }: Endpoint): boolean {
  return kind !== 'tcp';
}

/** Where a server that leaves sends its client; undefined: the client may not follow, or would be protected less there. */
export function alternateOf(from: URL, named: string, allowed: Alternates): URL | undefined {
  const url = URL.canParse(named) ? new URL(named) : undefined;
  const to = url && allowed.get(url.href);
  if (to === undefined || (isPrivate(readEndpoint(from)) && !isPrivate(to))) return undefined;
  return url;
}
