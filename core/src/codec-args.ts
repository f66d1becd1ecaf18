import { inspect } from 'node:util';

import { argumentError } from './argument-error.js';
import type { CompressOptions, DecompressOptions } from './client.js';
import { AxleError } from './errors.js';
import { CODEC_LEVELS, Codec, type CodecName } from './generated/constants.js';
import type { OpArgs } from './op.js';

export interface CodecChoice {
  readonly codec: CodecName;
  readonly level: number;
}

const defaultCodec: CodecName = 'zstd';

/** @throws AxleError INVALID_ARGUMENT for a codec or level that does not exist, naming those that do. */
export function chooseCodec({ codec = defaultCodec, level }: CompressOptions): CodecChoice {
  checkCodec(codec);
  const { min, max, default: byDefault } = CODEC_LEVELS[codec];
  const chosen = level === undefined ? byDefault : level;
  if (!Number.isInteger(chosen) || chosen < min || chosen > max) {
    const shown = inspect(chosen);
    throw new AxleError('INVALID_ARGUMENT', `${codec} has levels ${min} to ${max}, not ${shown}`);
  }
  return { codec, level: chosen };
}

/** Arguments of the op `compress`. */
export function compressArgs({ codec, level }: CodecChoice): OpArgs {
  return { codec: Codec[codec], level };
}

/**
 * Arguments of the op `decompress`.
 *
 * @throws AxleError INVALID_ARGUMENT for a codec that does not exist.
 */
export function decompressArgs({ codec }: DecompressOptions): OpArgs {
  if (codec === undefined) return {};
  checkCodec(codec);
  return { codec: Codec[codec] };
}

function checkCodec(codec: unknown): void {
  // Another value may have no text, or be one by chance: ['zstd'].
  if (typeof codec === 'string' && Object.hasOwn(Codec, codec)) return;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `there is no codec ${inspect(codec)}; give one of ${Object.keys(Codec).join(', ')}`,
  );
}

/** @throws AxleError INVALID_ARGUMENT for what is no number of bytes. */
export function outputBytesMaxOf({ outputBytesMax }: DecompressOptions): number | undefined {
  if (outputBytesMax === undefined || (typeof outputBytesMax === 'number' && outputBytesMax >= 0)) {
    return outputBytesMax;
  }
  throw argumentError('outputBytesMax', outputBytesMax, 'a number of bytes from 0 up');
}
