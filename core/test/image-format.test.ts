import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';

import { imageSize } from '../src/image-format.js';

const picture = sharp({ create: { width: 61, height: 47, channels: 3, background: '#a63' } });

describe('imageSize', () => {
  it.each([
    ['png', picture.clone().png()],
    ['png', picture.clone().greyscale().png({ palette: true })],
    ['jpeg', picture.clone().jpeg()],
    [
      'jpeg',
      picture
        .clone()
        .jpeg({ progressive: true })
        .withExif({ IFD0: { Artist: 'x' } }),
    ],
    ['jpeg', picture.clone().jpeg({ mozjpeg: true }).withIccProfile('p3')],
  ] as const)('reads a %s', async (format, image) => {
    expect(imageSize(await image.toBuffer())).toEqual({ format, width: 61, height: 47 });
  });

  it('trusts no head that could hide another', async () => {
    const jpeg = await picture.clone().jpeg().toBuffer();
    // Fill before a comment that holds a second, smaller frame.
    const hidden = Buffer.from('fffffffe0011ffc0000b08001000100101110000', 'hex');
    const crafted = Buffer.concat([jpeg.subarray(0, 2), hidden, jpeg.subarray(2)]);
    expect(imageSize(crafted)).toBeUndefined();
  });

  it('knows nothing of other formats', async () => {
    expect(imageSize(await picture.clone().webp().toBuffer())).toBeUndefined();
    expect(imageSize(new Uint8Array())).toBeUndefined();
  });

  it('takes any bytes', async () => {
    const jpeg = await picture.clone().jpeg().toBuffer();
    const png = await picture.clone().png().toBuffer();
    const damaged = fc
      .tuple(
        fc.constantFrom(jpeg, png),
        fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 8 }),
        fc.nat(400),
      )
      .map(([image, changes, end]) => {
        const bytes = new Uint8Array(image);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        return bytes.subarray(0, end);
      });
    fc.assert(
      fc.property(damaged, (bytes) => {
        const size = imageSize(bytes);
        expect(size === undefined || size.width * size.height >= 0).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
