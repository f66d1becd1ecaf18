import { ok } from 'node:assert';

import { imageSize, isDecodable } from '../../dist/image-format.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */

const sideMax = 2 ** 32;

/** @type {FuzzTarget} */
export const target = {
  about: 'the first bytes of images: their format and size',
  run(bytes) {
    const decodable = isDecodable(bytes);
    const size = imageSize(bytes);
    if (size === undefined) return;
    const { format, width, height } = size;
    ok(Number.isInteger(width) && width >= 0 && width < sideMax);
    ok(Number.isInteger(height) && height >= 0 && height < sideMax);
    ok(decodable || format === 'png', 'a size of what is never decoded');
  },
  seeds: () => [
    Buffer.from('89504e470d0a1a0a0000000d4948445200000010000000200806000000', 'hex'),
    Buffer.from('ffd8ffe000104a46494600010100000100010000ffc00011080020001003012200', 'hex'),
    Buffer.from('ffd8ffdb000401020000ffc2000b08000800080101110000', 'hex'),
    'GIF89a',
    'RIFF\0\0\0\0WEBP',
    '\0\0\0\x20ftypavif',
    'II*\0',
  ],
  dictionary: [0xffd8, 0xffc0, 0xffc4, 0xffda, 0xffff, 0xff01].map((marker) =>
    Buffer.of(marker >> 8, marker & 0xff),
  ),
};
