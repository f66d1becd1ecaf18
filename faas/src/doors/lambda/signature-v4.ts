import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

import { LambdaError } from './lambda-error.js';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A request as it came. */
export interface SignedRequest {
  readonly method: string;
  /** As on the wire, percents and all. */
  readonly path: string;
  /** Without '?'. */
  readonly query: string;
  /** Names as they came, and values, in turn. */
  readonly rawHeaders: readonly string[];
}

/** What Authorization says. */
export interface Signature {
  readonly scope: string;
  readonly signedHeaders: readonly string[];
  readonly signature: Buffer;
  /** Of X-Amz-Date. */
  readonly date: string;
}

const algorithm = 'AWS4-HMAC-SHA256';
const skewMs = 5 * 60_000;
const signedHeadersMax = 64;

/**
 * Reads and checks all of AWS's Signature Version 4 that needs no body.
 *
 * @param service of the scope, such as `lambda`
 * @param now milliseconds since 1970
 * @throws LambdaError
 */
export function readSignature(
  request: SignedRequest,
  { accessKeyId }: Credentials,
  service: string,
  now: number,
): Signature {
  const headers = headersOf(request);
  const [authorization, ...others] = headers.get('authorization') ?? [];
  if (authorization === undefined || others.length > 0) {
    throw new LambdaError(
      403,
      'MissingAuthenticationTokenException',
      'sign the request with Signature Version 4, in Authorization',
    );
  }
  const [, credential = '', names = '', signature = ''] =
    /^AWS4-HMAC-SHA256 +Credential=([^\s,]+), *SignedHeaders=([^\s,]+), *Signature=([0-9a-f]{64})$/.exec(
      authorization,
    ) ?? [];
  const [key, date, , forService, end, ...rest] = credential.split('/');
  if (signature === '' || end !== 'aws4_request' || rest.length > 0) {
    throw new LambdaError(
      403,
      'IncompleteSignatureException',
      `Authorization is no ${algorithm} with Credential, SignedHeaders and Signature`,
    );
  }
  if (key !== accessKeyId) {
    throw new LambdaError(
      403,
      'UnrecognizedClientException',
      'the access key is not known; it is the user of the front end',
    );
  }
  if (forService !== service) throw wrong(`the scope is to be of the service ${service}`);
  const [amzDate = ''] = headers.get('x-amz-date') ?? [];
  checkTime(amzDate, date as string, now);
  const signedHeaders = names.split(';');
  checkSignedHeaders(signedHeaders, headers);
  const scope = credential.slice(credential.indexOf('/') + 1);
  return { scope, signedHeaders, signature: Buffer.from(signature, 'hex'), date: amzDate };
}

/** @throws LambdaError where the body or anything else is not what was signed. */
export function checkSignature(
  request: SignedRequest,
  said: Signature,
  { secretAccessKey }: Credentials,
  body: Uint8Array,
): void {
  const hash = sha256(body);
  const [announced] = headersOf(request).get('x-amz-content-sha256') ?? [];
  if (announced !== undefined && announced !== hash) {
    throw wrong(
      'x-amz-content-sha256 is not the hash of the body; bodies that are not signed are not taken',
    );
  }
  const canonical = canonicalRequest(request, said.signedHeaders, hash);
  const text = [algorithm, said.date, said.scope, sha256(canonical)].join('\n');
  const key = said.scope
    .split('/')
    .reduce<string | Buffer>((parent, part) => hmac(parent, part), `AWS4${secretAccessKey}`);
  if (!timingSafeEqual(hmac(key, text), said.signature)) {
    throw new LambdaError(
      403,
      'InvalidSignatureException',
      'the signature is not that of the request; look at the secret key',
    );
  }
}

export function canonicalRequest(
  request: SignedRequest,
  signedHeaders: readonly string[],
  bodyHash: string,
): string {
  const headers = headersOf(request);
  const lines = signedHeaders.map(
    (name) => `${name}:${(headers.get(name) ?? []).map(trimmed).join(',')}\n`,
  );
  return [
    request.method,
    encoded(normalized(request.path), true),
    canonicalQuery(request.query),
    lines.join(''),
    signedHeaders.join(';'),
    bodyHash,
  ].join('\n');
}

function checkTime(amzDate: string, scopeDate: string, now: number): void {
  const [, day = '', hours = '', minutes = '', seconds = ''] =
    /^(\d{8})T(\d\d)(\d\d)(\d\d)Z$/.exec(amzDate) ?? [];
  const iso = `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T${hours}:${minutes}:${seconds}Z`;
  const at = Date.parse(iso);
  if (Number.isNaN(at)) throw wrong('X-Amz-Date takes a time such as 20260131T120000Z');
  if (day !== scopeDate) throw wrong('the date of the scope is not that of X-Amz-Date');
  if (Math.abs(at - now) > skewMs) {
    throw wrong(
      `the request was signed at ${iso}, more than ${skewMs / 60_000} minutes from the time here; look at the clock`,
    );
  }
}

/** What is not signed, somebody on the way may have changed. */
function checkSignedHeaders(
  signed: readonly string[],
  headers: ReadonlyMap<string, readonly string[]>,
): void {
  const isSorted = signed.every((name, i) => i === 0 || (signed[i - 1] as string) < name);
  if (
    !isSorted ||
    signed.length > signedHeadersMax ||
    signed.some((name) => name !== name.toLowerCase())
  ) {
    throw wrong('SignedHeaders are to be in lower case and in order, each once');
  }
  const missing = signed.find((name) => !headers.has(name));
  if (missing !== undefined) throw wrong(`the signed header ${missing.slice(0, 100)} is not there`);
  for (const name of headers.keys()) {
    if ((name === 'host' || name.startsWith('x-amz-')) && !signed.includes(name)) {
      throw wrong(`the header ${name.slice(0, 100)} is to be signed`);
    }
  }
  for (const name of ['host', 'x-amz-date']) {
    if (!signed.includes(name)) throw wrong(`the header ${name} is to be signed`);
  }
}

function headersOf({ rawHeaders }: SignedRequest): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase();
    const values = headers.get(name);
    if (values === undefined) headers.set(name, [rawHeaders[at + 1] as string]);
    else values.push(rawHeaders[at + 1] as string);
  }
  return headers;
}

function canonicalQuery(query: string): string {
  if (query === '') return '';
  return query
    .split('&')
    .map((pair) => {
      const at = pair.indexOf('=');
      const [name, value] = at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
      return [encoded(decoded(name), false), encoded(decoded(value), false)] as const;
    })
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Without `.`, `..` and empty segments. */
function normalized(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '.' && segment !== '') kept.push(segment);
  }
  const isFolder = /\/\.{0,2}$/.test(path) && kept.length > 0;
  return `/${kept.join('/')}${isFolder ? '/' : ''}`;
}

/** All but unreserved characters in percents: a path that has percents already gets them twice, as AWS does it. */
function encoded(text: string, keepsSlash: boolean): string {
  return [...Buffer.from(text)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      if (/[\w.~-]/.test(character) || (keepsSlash && character === '/')) return character;
      return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong('the query has a % that stands for nothing');
  }
}

function trimmed(value: string): string {
  return value.trim().replace(/ +/g, ' ');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function wrong(message: string): LambdaError {
  return new LambdaError(403, 'InvalidSignatureException', message);
}
