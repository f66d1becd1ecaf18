import { readFile } from 'node:fs/promises';

import { AxleError, messageOf, type ConnectOptions } from '@axle/core/internal';

import type { Endpoint } from '../endpoint.js';
import { wireLimits } from '../generated/wire.js';

/** What a client says of itself in HELLO. */
export interface HelloCredentials {
  /** Empty: it has none. */
  readonly token: Uint8Array;
  /** Whom it acts for; empty: itself. */
  readonly tenant: string;
}

/** What a client shows in a TLS handshake, and asks of the server; PEM. */
export interface ClientTls {
  /** Undefined: the authorities that Node knows. */
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  /** Undefined: the host of the endpoint. */
  readonly serverName: string | undefined;
}

/** Of a client that shows nothing. */
export const noCredentials: HelloCredentials = { token: new Uint8Array(0), tenant: '' };

export interface Credentials {
  readonly hello: HelloCredentials;
  readonly tls: ClientTls;
}

/** Read anew for each connection, so that a token or certificate may be exchanged while the process runs. */
export async function readCredentials(
  { token, tenant = '', tls = {} }: ConnectOptions,
  endpoint: Endpoint,
): Promise<Credentials> {
  checkTypes(token, tenant, tls);
  const secret = token ?? (await tokenOfEnvironment());
  checkToken(secret, endpoint);
  const hello = { token: Buffer.from(secret, 'utf8'), tenant };
  if (endpoint.kind !== 'tls') {
    return {
      hello,
      tls: { ca: undefined, cert: undefined, key: undefined, serverName: undefined },
    };
  }
  const [ca, cert, key] = await Promise.all([
    pem(tls.ca, 'AXLE_TLS_CA', 'tls.ca'),
    pem(tls.cert, 'AXLE_TLS_CERT', 'tls.cert'),
    pem(tls.key, 'AXLE_TLS_KEY', 'tls.key'),
  ]);
  if ((cert === undefined) !== (key === undefined)) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      'a certificate and its key go together; give both (AXLE_TLS_CERT and AXLE_TLS_KEY, or tls.cert and tls.key)',
    );
  }
  return { hello, tls: { ca, cert, key, serverName: tls.serverName } };
}

async function tokenOfEnvironment(): Promise<string> {
  const { AXLE_TOKEN: token, AXLE_TOKEN_FILE: path } = process.env;
  if (token !== undefined && token !== '') return token.trim();
  if (path === undefined || path === '') return '';
  return (await readPath(path, 'AXLE_TOKEN_FILE')).toString('utf8').trim();
}

/** Never quotes the token. */
function checkToken(token: string, endpoint: Endpoint): void {
  if (token === '') return;
  if (Buffer.byteLength(token) > wireLimits.tokenBytesMax || /[^\x21-\x7e]/.test(token)) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      'the token is none: tokens are one word, such as axle token create prints; check AXLE_TOKEN or AXLE_TOKEN_FILE',
    );
  }
  if (endpoint.kind !== 'tcp' || isLoopback(endpoint.host)) return;
  throw new AxleError(
    'FAILED_PRECONDITION',
    `the token could be read on its way to ${endpoint.host}; connect with axle+tls:, or by a tunnel that starts on this ` +
      'machine',
  );
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

async function pem(
  given: string | URL | Uint8Array | undefined,
  variable: string,
  option: string,
): Promise<Buffer | undefined> {
  if (given instanceof Uint8Array) return checkedPem(Buffer.from(given), option);
  if (given !== undefined) return checkedPem(await readPath(given, option), option);
  const path = process.env[variable];
  if (path === undefined || path === '') return undefined;
  return checkedPem(await readPath(path, variable), variable);
}

/** OpenSSL takes a file without any as one that names nobody. */
function checkedPem(text: Buffer, said: string): Buffer {
  if (text.includes('-----BEGIN ')) return text;
  throw new AxleError('INVALID_ARGUMENT', `what ${said} gives has no PEM in it (-----BEGIN ...)`);
}

async function readPath(path: string | URL, said: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new AxleError(
      code === 'ENOENT' ? 'NOT_FOUND' : 'PERMISSION_DENIED',
      `cannot read the file that ${said} names: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** Callers in plain JavaScript have no types to tell them. */
function checkTypes(token: unknown, tenant: unknown, tls: unknown): void {
  if (token !== undefined && typeof token !== 'string') {
    throw new AxleError(
      'INVALID_ARGUMENT',
      "'token' is not a string; give what axle token create printed",
    );
  }
  if (typeof tenant !== 'string') {
    throw new AxleError('INVALID_ARGUMENT', "'tenant' is not a string; give the name of a tenant");
  }
  if (typeof tls !== 'object' || tls === null) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      "'tls' is not an object; give {ca, cert, key, serverName}",
    );
  }
}
