import { basename } from 'node:path';

import type { CodecName } from '@axle/core';

/** What the files of each codec end with, the usual suffix first; a suffix may stand for two. */
const suffixes: Readonly<Record<CodecName, Readonly<Record<string, string>>>> = {
  zstd: { '.zst': '', '.zstd': '', '.tzst': '.tar' },
  lz4: { '.lz4': '', '.tlz4': '.tar' },
  gzip: { '.gz': '', '.tgz': '.tar' },
};

export const codecNames = Object.keys(suffixes) as readonly CodecName[];

export function compressedName(file: string, codec: CodecName): string {
  return `${file}${Object.keys(suffixes[codec])[0] ?? ''}`;
}

/** The name without the suffix of a codec, or undefined where it has none or is nothing else. */
export function decompressedName(file: string): string | undefined {
  for (const [suffix, instead] of codecNames.flatMap((codec) => Object.entries(suffixes[codec]))) {
    if (file.toLowerCase().endsWith(suffix) && basename(file).length > suffix.length) {
      return file.slice(0, -suffix.length) + instead;
    }
  }
  return undefined;
}

/** The codec that a stream starts with (RFC 8878, LZ4 frame format, RFC 1952); undefined when it is none or not plain. */
export function codecOf(firstBytes: Uint8Array): CodecName | undefined {
  const startsWith = (...bytes: number[]) => bytes.every((byte, at) => firstBytes[at] === byte);
  if (startsWith(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (startsWith(0x04, 0x22, 0x4d, 0x18)) return 'lz4';
  return startsWith(0x1f, 0x8b) ? 'gzip' : undefined;
}
