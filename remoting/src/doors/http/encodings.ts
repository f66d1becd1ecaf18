import { promisify } from 'node:util';
import { createGunzip, createInflate, constants, deflate, gzip } from 'node:zlib';

import { asAxleError, AxleError } from '@axle/core/internal';

/** In the order in which they are preferred; `deflate` is zlib's format, as HTTP has it. */
const encodings = ['gzip', 'deflate'] as const;
export type Encoding = (typeof encodings)[number];

const compress = { gzip: promisify(gzip), deflate: promisify(deflate) };
/** The client waits for it. */
const level = constants.Z_BEST_SPEED;

/** @throws AxleError UNIMPLEMENTED for a Content-Encoding that is not known. */
export function readContentEncoding(header: string | undefined): Encoding | undefined {
  const name = header?.trim().toLowerCase() ?? 'identity';
  if (name === 'identity' || name === '') return undefined;
  const known = encodings.find((each) => each === name);
  if (known !== undefined) return known;
  throw new AxleError(
    'UNIMPLEMENTED',
    `this server takes bodies in Content-Encoding ${encodings.join(' or ')}; send it so, or as it is`,
  );
}

/** What an Accept-Encoding names and this server knows. */
export function acceptedEncoding(header: string | undefined): Encoding | undefined {
  const accepted = (header ?? '').toLowerCase().replaceAll(' ', '').split(',');
  return encodings.find((encoding) =>
    accepted.some((each) => {
      const [name, weight = ''] = each.split(';');
      return name === encoding && !/^q=0(?:\.0*)?$/.test(weight);
    }),
  );
}

/** On another thread. */
export function encoded(encoding: Encoding, pieces: readonly Uint8Array[]): Promise<Buffer> {
  return compress[encoding](Buffer.concat(pieces), { level });
}

/**
 * Takes a body apart on another thread, piece by piece.
 *
 * @param each told how much there is so far; what it throws, this rejects with, and no more is done
 * @throws AxleError INVALID_ARGUMENT for what is no such body.
 */
export function decoded(
  encoding: Encoding,
  body: Uint8Array,
  each: (bytes: number) => void,
): Promise<Buffer> {
  const stream = encoding === 'gzip' ? createGunzip() : createInflate();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
      try {
        each(bytes);
      } catch (error) {
        stream.destroy();
        reject(asAxleError(error));
        return;
      }
      chunks.push(chunk);
    });
    stream.once('error', () => {
      reject(new AxleError('INVALID_ARGUMENT', `the body is no ${encoding}, or ends too early`));
    });
    stream.once('end', () => {
      resolve(Buffer.concat(chunks));
    });
    stream.end(body);
  });
}
