import { AxleError } from '@axle/core/internal';

import type { Endpoint } from '../endpoint.js';

/** Where a door is, and what is spoken there. */
export interface DoorUrl {
  readonly protocol: 'grpc' | 'http';
  readonly endpoint: Endpoint;
}

const forms =
  'grpc://HOST:PORT, grpcs://HOST:PORT, grpc+unix:/PATH, http://HOST:PORT, https://HOST:PORT or http+unix:/PATH';
/** As clients of Triton expect them. */
const defaultPorts = { grpc: 8001, http: 8000 } as const;

/**
 * Reads what `axle serve` prints of its doors.
 *
 * @throws AxleError INVALID_ARGUMENT saying what it should look like; it quotes nothing, which may hold a secret.
 */
export function readDoorUrl(text: string): DoorUrl {
  const [, protocol, kind = ''] = /^(grpc|http)(s|\+unix)?:/.exec(text) ?? [];
  if (protocol !== 'grpc' && protocol !== 'http') throw wrong();
  if (kind === '+unix') {
    const path = decodedPath(text.slice(text.indexOf(':') + 1));
    return { protocol, endpoint: { kind: 'unix', path } };
  }
  // Without a port of its own: URL leaves the standard one out of http.
  const generic = text.replace(/^[a-z]+:/, 'door:');
  const url = URL.canParse(generic) ? new URL(generic) : undefined;
  const host = url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '';
  if (
    url?.username !== '' ||
    url.password !== '' ||
    host === '' ||
    !['', '/'].includes(url.pathname)
  ) {
    throw wrong();
  }
  const port = url.port === '' ? defaultPorts[protocol] : Number(url.port);
  return { protocol, endpoint: { kind: kind === 's' ? 'tls' : 'tcp', host, port } };
}

function decodedPath(path: string): string {
  try {
    const decoded = decodeURIComponent(path);
    if (decoded.startsWith('/') && !decoded.startsWith('//')) return decoded;
  } catch {
    // Told below.
  }
  throw wrong();
}

function wrong(): AxleError {
  return new AxleError(
    'INVALID_ARGUMENT',
    `that is no URL of a door; give ${forms}, and a token by AXLE_TOKEN`,
  );
}
