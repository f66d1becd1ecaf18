import sharp, { type OutputInfo, type Sharp } from 'sharp';

import type { NamedTensor } from './backend.js';
import { AxleError, messageOf } from './errors.js';
import { imageFormats, imageSize, isDecodable } from './image-format.js';
import type { Limits } from './limits.js';
import type { OpArgs } from './op.js';
import { Tensor } from './tensor.js';

/**
 * The image as UINT8 [height, width, channels], turned upright as its EXIF says. Arguments are those of `decode` in
 * plugin.h.
 *
 * @throws AxleError INVALID_ARGUMENT for bytes that are no image, RESOURCE_EXHAUSTED past the limits on pixels and time.
 */
export async function decodeImage(
  inputs: readonly NamedTensor[],
  args: OpArgs,
  limits: Limits,
): Promise<Tensor> {
  const encoded = inputs[0]?.tensor.bytes;
  if (encoded === undefined || encoded.byteLength === 0) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      'the image is empty; give a JPEG, PNG, WebP or other image',
    );
  }
  if (!isDecodable(encoded)) throw noImage();
  try {
    return await decode(encoded, checkedArgs(args, limits), limits);
  } catch (error) {
    throw error instanceof AxleError ? error : describe(error, limits);
  }
}

/** The longest that sharp takes. */
const sharpSecondsMax = 3600;

async function decode(encoded: Uint8Array, args: DecodeArgs, limits: Limits): Promise<Tensor> {
  const { width, height, channels, fit, unscaled_pixels_max } = args;
  const { imagePixelsMax, imageDecodeSecondsMax } = limits;
  const pixelsOf = (image: Sharp): Promise<{ data: Buffer; info: OutputInfo }> =>
    image
      .raw({ depth: 'uchar' })
      .timeout({ seconds: Math.min(imageDecodeSecondsMax, sharpSecondsMax) })
      .toBuffer({ resolveWithObject: true });
  const scaled = () =>
    pixelsOf(
      upright(encoded, channels, imagePixelsMax).resize(width, height, { fit, background: '#fff' }),
    );
  const unscaledMax = Math.min(fit === 'fill' ? unscaled_pixels_max : 0, imagePixelsMax);
  const { data, info } = isQuickerUnscaled(encoded, unscaledMax)
    ? await pixelsOf(upright(encoded, channels, unscaledMax)).catch((error: unknown) => {
        // The decoder found more pixels than the head of the file says.
        if (isPixelLimit(error)) return scaled();
        throw error;
      })
    : await scaled();
  if (info.channels !== channels) {
    throw new AxleError(
      'INTERNAL',
      `decoding gave ${info.channels} channels instead of ${channels}; please report this image`,
    );
  }
  return Tensor.fromBytes('UINT8', data, [info.height, info.width, info.channels]);
}

function upright(encoded: Uint8Array, channels: 1 | 3, pixelsMax: number): Sharp {
  const image = sharp(encoded, {
    limitInputPixels: pixelsMax,
    failOn: 'error',
    sequentialRead: true,
  });
  const flat = image.rotate().flatten({ background: '#fff' });
  return channels === 1 ? flat.greyscale() : flat.toColourspace('srgb');
}

/**
 * Clients of a server choose them freely.
 *
 * @throws AxleError INVALID_ARGUMENT
 */
function checkedArgs(args: OpArgs, { imagePixelsMax }: Limits): DecodeArgs {
  const { width, height, channels, fit = 'fill', unscaled_pixels_max = 0 } = args;
  const isSize = (value: unknown): value is number => Number.isInteger(value) && Number(value) > 0;
  if (!isSize(width) || !isSize(height) || width * height > imagePixelsMax) {
    throw wrongArgs(
      `width and height of decode must be at least 1, and ${imagePixelsMax} pixels at most`,
    );
  }
  if (channels !== 1 && channels !== 3) throw wrongArgs('channels of decode must be 1 or 3');
  if (fit !== 'fill' && fit !== 'cover' && fit !== 'contain') {
    throw wrongArgs("fit of decode must be 'fill', 'cover' or 'contain'");
  }
  if (!Number.isInteger(unscaled_pixels_max)) {
    throw wrongArgs('unscaled_pixels_max of decode must be a whole number');
  }
  return { width, height, channels, fit, unscaled_pixels_max: Number(unscaled_pixels_max) };
}

function wrongArgs(message: string): AxleError {
  return new AxleError('INVALID_ARGUMENT', message);
}

interface DecodeArgs {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly fit: 'fill' | 'cover' | 'contain';
  readonly unscaled_pixels_max: number;
}

/**
 * libvips spends more on setting up a resize than on decoding a small image: 1.6 of 3.5 ms at 128 x 128. A JPEG it
 * scales while it decodes, which pays earlier.
 */
function isQuickerUnscaled(encoded: Uint8Array, pixelsMax: number): boolean {
  const size = imageSize(encoded);
  if (size === undefined) return false;
  const { format, width, height } = size;
  return width * height <= (format === 'jpeg' ? pixelsMax / 2 : pixelsMax);
}

/** libvips says what was wrong in its own words; the caller also needs to know what to do. */
function describe(error: unknown, limits: Limits): AxleError {
  const [first = 'unknown reason'] = messageOf(error).split('\n');
  if (isPixelLimit(error)) {
    return new AxleError(
      'RESOURCE_EXHAUSTED',
      `the image has more than ${limits.imagePixelsMax} pixels; scale it down first`,
      { cause: error, retryable: false },
    );
  }
  if (/unsupported image format/i.test(first)) return noImage(error);
  if (/timeout/i.test(first)) {
    return new AxleError(
      'RESOURCE_EXHAUSTED',
      `the image took more than ${limits.imageDecodeSecondsMax} s to decode; scale it down first`,
      { cause: error, retryable: false },
    );
  }
  return new AxleError('INVALID_ARGUMENT', `the image is damaged or cut short: ${first}`, {
    cause: error,
  });
}

function isPixelLimit(error: unknown): boolean {
  return /pixel limit/i.test(messageOf(error));
}

function noImage(cause?: unknown): AxleError {
  return new AxleError(
    'INVALID_ARGUMENT',
    `these bytes are no image that can be read; give ${imageFormats}`,
    { cause },
  );
}
