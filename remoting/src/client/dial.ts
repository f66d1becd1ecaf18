import { connect as connectSocket, isIP, type Socket } from 'node:net';
import {
  checkServerIdentity,
  connect as connectTls,
  createSecureContext,
  type SecureContext,
} from 'node:tls';

import { AxleError } from '@axle/core/internal';

import { alpnProtocol } from '../alpn.js';
import type { Endpoint } from '../endpoint.js';
import { tlsWords } from '../tls-words.js';
import type { ClientTls } from './credentials.js';

/**
 * A stream to whoever listens at an endpoint; over TLS, to whoever proves to be meant.
 *
 * @param name of the endpoint, for messages
 * @throws AxleError UNAVAILABLE when nobody answers, or not before `signal` is aborted; UNAUTHENTICATED when the server's
 * certificate is not to be trusted; INVALID_ARGUMENT for certificates and keys that are none.
 */
export function dial(
  endpoint: Endpoint,
  tls: ClientTls,
  name: string,
  signal: AbortSignal,
): Promise<Socket> {
  const socket = open(endpoint, tls);
  if (endpoint.kind !== 'unix') socket.setNoDelay(true);
  return new Promise((resolve, reject) => {
    const refused = (error: Error) => {
      reject(failure(error, endpoint, name));
    };
    const late = () => socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', late);
    socket.once('error', refused);
    socket.once(endpoint.kind === 'tls' ? 'secureConnect' : 'connect', () => {
      signal.removeEventListener('abort', late);
      socket.off('error', refused);
      resolve(socket);
    });
  });
}

function open(endpoint: Endpoint, tls: ClientTls): Socket {
  if (endpoint.kind === 'unix') return connectSocket({ path: endpoint.path });
  const { host, port } = endpoint;
  if (endpoint.kind === 'tcp') return connectSocket({ host, port });
  const serverName = tls.serverName ?? host;
  return connectTls({
    host,
    port,
    secureContext: contextOf(tls),
    ALPNProtocols: [alpnProtocol],
    // RFC 6066 has no addresses in SNI; the certificate is checked for one all the same.
    servername: isIP(serverName) === 0 ? serverName : '',
    checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
    // Said here, because NODE_TLS_REJECT_UNAUTHORIZED=0 would switch it off.
    rejectUnauthorized: true,
  });
}

function contextOf({ ca, cert, key }: ClientTls): SecureContext {
  try {
    return createSecureContext({ ca, cert, key, minVersion: 'TLSv1.2' });
  } catch (error) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `the CA, the certificate or its key cannot be used (${tlsWords(error)}); give PEM, the key without a password ` +
        'and of that certificate (AXLE_TLS_CA, AXLE_TLS_CERT, AXLE_TLS_KEY)',
      { cause: error },
    );
  }
}

/** By the codes of OpenSSL and Node. */
const certificateAdvice: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired: its operator must renew it',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: compare the clocks',
  CERT_REVOKED: 'its certificate was revoked: do not trust it',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'its certificate is for another name: connect by a name that it is for, or give tls.serverName',
  INVALID_PURPOSE: 'its certificate is not one for servers',
  ...Object.fromEntries(
    [
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'SELF_SIGNED_CERT_IN_CHAIN',
      'UNABLE_TO_GET_ISSUER_CERT',
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      'CERT_UNTRUSTED',
      'CERT_SIGNATURE_FAILURE',
    ].map((code) => [
      code,
      'its certificate is signed by nobody whom this client trusts: give the CA that signed it (AXLE_TLS_CA, or tls.ca)',
    ]),
  ),
};

function failure(error: Error, { kind }: Endpoint, name: string): AxleError {
  const { code = '' } = error as NodeJS.ErrnoException;
  const advice = certificateAdvice[code];
  if (advice !== undefined) {
    const message = `the server at ${name} is not to be trusted (${tlsWords(error)}): ${advice}`;
    return new AxleError('UNAUTHENTICATED', message, { cause: error });
  }
  const hint =
    kind === 'tls' && (code.startsWith('ERR_SSL_') || code === 'ECONNRESET')
      ? 'if it is a server without TLS, connect with axle:'
      : 'start one with axle serve';
  return new AxleError(
    'UNAVAILABLE',
    `no server answers at ${name} (${tlsWords(error)}); ${hint}`,
    { cause: error },
  );
}
