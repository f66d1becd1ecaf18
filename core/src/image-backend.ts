import { availableParallelism } from 'node:os';

import sharp, { type OutputInfo, type Sharp } from 'sharp';

import type {
  Backend,
  BackendTask,
  BackendStream,
  Device,
  Health,
  LoadedModel,
  NamedTensor,
  Support,
  SupportQuery,
} from './backend.js';
import { AxleError, messageOf } from './errors.js';
import { imageFormats, imageSize, isDecodable } from './image-format.js';
import type { Limits } from './limits.js';
import { singleOp, type OpArgs } from './op.js';
import { Tensor } from './tensor.js';

/**
 * Image decoding in the host, by libvips on libuv's threads: JPEG, PNG, WebP, GIF, AVIF, TIFF.
 *
 * Arguments and output of decode are those of plugin.h; the image is turned upright as its EXIF says.
 */
export class ImageBackend implements Backend {
  readonly name = 'host';
  readonly version = sharp.versions.sharp ?? sharp.versions.vips;
  readonly batches = 'here';
  readonly devices: readonly Device[];
  readonly ops = [{ ...singleOp('decode'), name: '', flags: 3, batchMax: 1 }];

  constructor(private readonly limits: Limits) {
    this.devices = [
      {
        id: 'host:0',
        backend: this.name,
        index: 0,
        name: `libvips ${sharp.versions.vips}`,
        kind: 'CPU',
        emulated: false,
        memoryBytes: 0,
        parallel: availableParallelism(),
      },
    ];
  }

  supports(_device: Device, _query: SupportQuery): Support {
    return { score: 1, reason: '' };
  }

  loadModel(): Promise<LoadedModel> {
    return Promise.reject(new AxleError('UNIMPLEMENTED', 'the host runs no models; use a plugin'));
  }

  unloadModel(): Promise<void> {
    return Promise.resolve();
  }

  submit(_device: Device, batch: readonly BackendTask[]): void {
    for (const task of batch) void this.run(task);
  }

  /** libvips cannot be stopped in the middle; the caller does not wait for it. */
  cancel(): void {
    return;
  }

  openStream(): BackendStream {
    throw new AxleError('UNIMPLEMENTED', 'images are not decoded as streams');
  }

  health(): Promise<Health> {
    return Promise.resolve({ state: 'OK', message: '' });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private async run(task: BackendTask): Promise<void> {
    const start = performance.now();
    try {
      const tensor = await this.decode(task.inputs, task.args);
      const timing = {
        queueMs: 0,
        transferMs: 0,
        computeMs: performance.now() - start,
        batchSize: 1,
      };
      task.settle({ ok: true, outputs: [{ name: '', tensor }], timing });
    } catch (error) {
      const failure = error instanceof AxleError ? error : describe(error, this.limits);
      task.settle({ ok: false, error: failure });
    }
  }

  private async decode(inputs: readonly NamedTensor[], args: OpArgs): Promise<Tensor> {
    const encoded = inputs[0]?.tensor.bytes;
    if (encoded === undefined || encoded.byteLength === 0) {
      throw new AxleError(
        'INVALID_ARGUMENT',
        'the image is empty; give a JPEG, PNG, WebP or other image',
      );
    }
    if (!isDecodable(encoded)) throw noImage();
    const { width, height, channels, fit, unscaled_pixels_max } = args as unknown as DecodeArgs;
    const { imagePixelsMax } = this.limits;
    const unscaledMax = Math.min(fit === 'fill' ? unscaled_pixels_max : 0, imagePixelsMax);
    const scaled = () =>
      this.pixelsOf(
        this.upright(encoded, channels, imagePixelsMax).resize(width, height, {
          fit,
          background: '#fff',
        }),
      );
    const { data, info } = isQuickerUnscaled(encoded, unscaledMax)
      ? await this.pixelsOf(this.upright(encoded, channels, unscaledMax)).catch(
          (error: unknown) => {
            // The decoder found more pixels than the head of the file says.
            if (isPixelLimit(error)) return scaled();
            throw error;
          },
        )
      : await scaled();
    if (info.channels !== channels) {
      throw new AxleError(
        'INTERNAL',
        `decoding gave ${info.channels} channels instead of ${channels}; please report this image`,
      );
    }
    return Tensor.fromBytes('UINT8', data, [info.height, info.width, info.channels]);
  }

  private pixelsOf(image: Sharp): Promise<{ data: Buffer; info: OutputInfo }> {
    return image
      .raw({ depth: 'uchar' })
      .timeout({ seconds: this.limits.imageDecodeSecondsMax })
      .toBuffer({ resolveWithObject: true });
  }

  private upright(encoded: Uint8Array, channels: 1 | 3, pixelsMax: number): Sharp {
    const image = sharp(encoded, {
      limitInputPixels: pixelsMax,
      failOn: 'error',
      sequentialRead: true,
    });
    const upright = image.rotate().flatten({ background: '#fff' });
    return channels === 1 ? upright.greyscale() : upright.toColourspace('srgb');
  }
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
