import { AxleError } from '@axle/core/internal';

import { urlEndpoint, type UrlEndpoint } from '../http-client/url-endpoint.js';

const forms =
  'grpc://HOST:PORT, grpcs://HOST:PORT, grpc+unix:/PATH, http://HOST:PORT, https://HOST:PORT or http+unix:/PATH';
/** As clients of Triton expect them. */
const defaultPorts = { grpc: 8001, http: 8000 } as const;

/**
 * Reads what `axle serve` prints of its doors.
 *
 * @throws AxleError INVALID_ARGUMENT saying what it should look like; it quotes nothing, which may hold a secret.
 */
export function readDoorUrl(text: string): UrlEndpoint<'grpc' | 'http'> {
  const door = urlEndpoint(text, defaultPorts);
  if (door !== undefined) return door;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `that is no URL of a door; give ${forms}, and a token by AXLE_TOKEN`,
  );
}
