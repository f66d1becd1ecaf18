import { createHash } from 'node:crypto';

import {
  AxleError,
  manifestOf,
  sortedByName,
  type ModelFile,
  type ModelSource,
} from '@axle/core/internal';

import { wireLimits } from '../generated/wire.js';
import type { ByteRange, ModelFrame } from '../wire/frames.js';

/** What a model is made again from, on whichever connection: all that MODEL says, and the bytes behind it. */
export interface ModelBytes {
  readonly frame: Omit<ModelFrame, 'id'>;
  /** Sent with the frame, unasked. */
  readonly unasked: readonly Uint8Array[];
  readonly manifest: Uint8Array;
  /** In the manifest's order. */
  readonly files: readonly ModelFile[];
}

/**
 * A model as it goes to servers: its own files, its config and its labels.
 *
 * @throws AxleError INVALID_ARGUMENT where two of these would have one name, or more than a server takes.
 */
export async function modelBytesOf(source: ModelSource): Promise<ModelBytes> {
  const files = sortedByName([...source.files, ...(source.companions ?? [])]);
  const twice = files.find(({ name }, i) => files[i + 1]?.name === name);
  if (twice !== undefined) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `model '${source.name}' has two files named '${twice.name}', in its folder and in that of its version; rename one`,
    );
  }
  const manifest = Buffer.from(await manifestOf(files));
  if (manifest.byteLength > wireLimits.manifestBytesMax) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `model '${source.name}' has too many files, or names too long, to be sent to a server`,
    );
  }
  const bytes = files.reduce((sum, { data }) => sum + data.byteLength, 0);
  const content = bytes + manifest.byteLength <= wireLimits.inlineModelBytesMax;
  const frame = {
    type: 'MODEL',
    manifest: true,
    content,
    named: false,
    contentId: createHash('sha256').update(manifest).digest(),
    bytes,
    manifestBytes: manifest.byteLength,
    name: wireName(source.name),
    format: source.format,
    entry: source.files[0]?.name ?? '',
  } as const;
  const unasked = content ? [manifest, ...files.map(({ data }) => data)] : [manifest];
  return { frame, unasked, manifest, files };
}

/** The bytes of ranges of the content: all files one after another. */
export function contentOf(files: readonly ModelFile[], ranges: readonly ByteRange[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (const range of ranges) {
    const end = range.offset + range.bytes;
    let offset = 0;
    for (const { data } of files) {
      const from = Math.max(range.offset, offset) - offset;
      const to = Math.min(end, offset + data.byteLength) - offset;
      if (from < to) pieces.push(data.subarray(from, to));
      offset += data.byteLength;
    }
  }
  return pieces;
}

/** It is for messages only; a name may be longer on this machine than on the wire. */
function wireName(name: string): string {
  const printable = name.replaceAll(/[^\x20-\x7e]/g, '?');
  return printable.slice(0, wireLimits.nameBytesMax);
}
