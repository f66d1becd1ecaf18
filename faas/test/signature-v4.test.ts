import { checkSignature, readSignature, type SignedRequest } from '@axle/faas';
import { describe, expect, it } from 'vitest';

/** Of AWS's published test suite for Signature Version 4. */
const credentials = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
};
const date = '20150830T123600Z';
const now = Date.parse('2015-08-30T12:36:00Z');
const scope = 'AKIDEXAMPLE/20150830/us-east-1/service/aws4_request';

interface Vector {
  readonly method?: string;
  readonly path?: string;
  readonly query?: string;
  readonly headers?: readonly string[];
  readonly signed?: string;
  readonly body?: string;
  readonly signature: string;
}

const vectors: Readonly<Record<string, Vector>> = {
  'get-vanilla': { signature: '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31' },
  'post-vanilla': {
    method: 'POST',
    signature: '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
  },
  'get-vanilla-query-order-key-case': {
    query: 'Param2=value2&Param1=value1',
    signature: 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  },
  'get-unreserved': {
    path: '/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
    signature: '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f',
  },
  'get-utf8': {
    path: '/\u1234',
    signature: '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85',
  },
  'post-x-www-form-urlencoded': {
    method: 'POST',
    headers: ['Content-Type', 'application/x-www-form-urlencoded'],
    signed: 'content-type;host;x-amz-date',
    body: 'Param1=value1',
    signature: 'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
  },
  'get-header-value-trim': {
    headers: ['My-Header1', ' value1', 'My-Header2', ' "a   b   c"'],
    signed: 'host;my-header1;my-header2;x-amz-date',
    signature: 'acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736',
  },
};

function requestOf(vector: Vector): SignedRequest {
  const {
    method = 'GET',
    path = '/',
    query = '',
    headers = [],
    signed = 'host;x-amz-date',
    signature,
  } = vector;
  const authorization = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=${signed}, Signature=${signature}`;
  const own = ['Host', 'example.amazonaws.com', 'X-Amz-Date', date, 'Authorization', authorization];
  return { method, path, query, rawHeaders: [...own, ...headers] };
}

function check(request: SignedRequest, body = '', at = now): void {
  const signature = readSignature(request, credentials, 'service', at);
  checkSignature(request, signature, credentials, Buffer.from(body));
}

const vanilla = vectors['get-vanilla'] as Vector;
const form = vectors['post-x-www-form-urlencoded'] as Vector;

function changed(from: string | RegExp, to: string): SignedRequest {
  const request = requestOf(vanilla);
  return { ...request, rawHeaders: request.rawHeaders.map((text) => text.replace(from, to)) };
}

describe('a request that is signed', () => {
  it.each(Object.entries(vectors))('as in %s is taken', (_, vector) => {
    expect(() => check(requestOf(vector), vector.body)).not.toThrow();
  });

  it.each([-299_000, 299_000])('%i ms from the time here is taken', (ms) => {
    expect(() => check(requestOf(vanilla), '', now + ms)).not.toThrow();
  });

  it.each([-301_000, 301_000])('%i ms from the time here is refused', (ms) => {
    expect(() => check(requestOf(vanilla), '', now + ms)).toThrow(
      /more than 5 minutes from the time here/,
    );
  });

  it.each([
    ['another method', { ...requestOf(vanilla), method: 'PUT' }],
    ['another path', { ...requestOf(vanilla), path: '/x' }],
    ['another query', { ...requestOf(vanilla), query: 'a=b' }],
    ['another host', changed('example.amazonaws.com', 'example.com')],
    ['another signature', changed(/Signature=5/, 'Signature=6')],
  ])('is not taken with %s', (_, request) => {
    expect(() => check(request)).toThrow(/the signature is not that of the request/);
  });

  it('is not taken with another body', () => {
    expect(() => check(requestOf(form), 'Param1=value2')).toThrow(/the signature is not that/);
  });

  it.each([
    [
      'nothing',
      { ...requestOf(vanilla), rawHeaders: ['Host', 'a'] },
      'MissingAuthenticationTokenException',
    ],
    ['another algorithm', changed('SHA256 ', 'SHA512 '), 'IncompleteSignatureException'],
    ['another key', changed('AKIDEXAMPLE', 'AKIDOTHER'), 'UnrecognizedClientException'],
    ['another service', changed('/service/', '/lambda/'), 'InvalidSignatureException'],
    ['the scope of another day', changed('/20150830/', '/20150831/'), 'InvalidSignatureException'],
    ['a date that is none', changed(date, 'yesterday'), 'InvalidSignatureException'],
    ['host unsigned', changed('host;x-amz-date', 'x-amz-date'), 'InvalidSignatureException'],
    ['the date unsigned', changed('host;x-amz-date', 'host'), 'InvalidSignatureException'],
    ['a header signed twice', changed('host;x', 'host;host;x'), 'InvalidSignatureException'],
    [
      'a signed header that is not there',
      changed('host;x', 'host;via;x'),
      'InvalidSignatureException',
    ],
  ])('is not taken with %s', (_, request, type) => {
    expect(() => check(request)).toThrow(expect.objectContaining({ status: 403, type }) as Error);
  });

  it.each(['UNSIGNED-PAYLOAD', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', '0'.repeat(64)])(
    'is not taken with %s for the hash of its body',
    (hash) => {
      const request = changed('host;x-amz-date', 'host;x-amz-content-sha256;x-amz-date');
      const rawHeaders = [...request.rawHeaders, 'X-Amz-Content-Sha256', hash];
      expect(() => check({ ...request, rawHeaders })).toThrow(
        /bodies that are not signed are not taken/,
      );
    },
  );
});
