import { ok } from 'node:assert';

import { LambdaError } from '../../dist/doors/lambda/lambda-error.js';
import { checkSignature, readSignature } from '../../dist/doors/lambda/signature-v4.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */

const credentials = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
};
const now = Date.parse('2015-08-30T12:36:00Z');
const vanilla = [
  'GET',
  '/',
  '',
  'Host: example.amazonaws.com',
  'X-Amz-Date: 20150830T123600Z',
  'Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ' +
    'SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
];
/** @type {FuzzTarget} */
export const target = {
  about: 'signatures of AWS: none that was made for another request is taken',
  run(bytes) {
    const [method = '', path = '', query = '', ...lines] = bytes.toString('latin1').split('\n');
    const headers = lines.map((line) => {
      const at = line.indexOf(':');
      return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1).trim()];
    });
    const request = { method, path, query, rawHeaders: headers.flat() };
    try {
      const signature = readSignature(request, credentials, 'service', now);
      checkSignature(request, signature, credentials, Buffer.alloc(0));
    } catch (error) {
      if (error instanceof LambdaError) return;
      throw error;
    }
    const host = headers.filter(([name]) => name?.toLowerCase() === 'host');
    ok(method === 'GET' && query.replace(/&+$/, '') === '', 'another method or query was taken');
    ok(host.length === 1 && host[0]?.[1] === 'example.amazonaws.com', 'another host was taken');
    const unsigned = headers.filter(([name = '']) => /^x-amz-/i.test(name)).length - 1;
    ok(unsigned === 0, 'a header of AWS that is not signed was taken');
  },
  seeds: () => [
    Buffer.from(vanilla.join('\n')),
    Buffer.from([...vanilla, 'X-Other: 1'].join('\n')),
    Buffer.from(vanilla.with(2, 'b=2&a=%20').join('\n')),
    Buffer.from(vanilla.with(1, '/a/./b/../c//').join('\n')),
  ],
  dictionary: [
    ...'/.%&=;,: \n',
    'SignedHeaders=',
    'Signature=',
    'x-amz-content-sha256',
    '..',
    '%2F',
  ],
};
