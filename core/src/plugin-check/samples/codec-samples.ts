import { gunzipSync, gzipSync } from 'node:zlib';

import { ArgType, Codec, DataType } from '../../generated/constants.js';
import type { NativeOpInfo } from '../../native-binding.js';
import type { TaskInput } from '../plugin-under-test.js';
import { outputBytes, requestOf, sampleOf, type Content, type OpSample } from './sample.js';
import { text } from './text.js';

export const codecs = ['zstd', 'lz4', 'gzip'] as const;
export type CodecName = (typeof codecs)[number];

const textBytes = 100_000;
const textBytesSmall = 2000;
/** What a stream begins with, the last byte first; gunzip looks at gzip's. */
const magicNumbers = { zstd: 'fd2fb528', lz4: '184d2204', gzip: '' } as const;

function textOf({ seed, size }: Content): Buffer {
  return text(size === 'small' ? textBytesSmall : textBytes, seed);
}

export function bytesInput(data: Uint8Array): TaskInput {
  return { name: null, dtype: DataType.UINT8, dims: [data.byteLength], data };
}

/** compress, with each codec. */
export function compressSamples(op: NativeOpInfo): OpSample[] {
  return codecs.map((codec) =>
    sampleOf(op, (content) => {
      const input = textOf(content);
      const args = [['codec', ArgType.INT, Codec[codec]]] as const;
      return {
        label: `compress ${codec}`,
        mayRefuse: false,
        request: requestOf(op, args, [bytesInput(input)]),
        problemOf: (completion) => compressedProblem(codec, input, outputBytes(completion, 0)),
      };
    }),
  );
}

/** decompress, of what another gzip made; and, for a device that is told its codecs, of lz4. */
export function decompressSamples(op: NativeOpInfo): OpSample[] {
  return [
    sampleOf(op, (content) => {
      const wanted = textOf(content);
      const args = [['codec', ArgType.INT, Codec.lz4]] as const;
      return {
        label: 'decompress lz4',
        mayRefuse: false,
        request: requestOf(op, args, [bytesInput(storedLz4(wanted))]),
        problemOf: (completion) =>
          outputBytes(completion, 0).equals(wanted)
            ? undefined
            : 'it gives other bytes than went in',
      };
    }),
    sampleOf(op, (content) => {
      const wanted = textOf(content);
      return {
        label: 'decompress gzip',
        mayRefuse: false,
        request: requestOf(op, [], [bytesInput(gzipSync(wanted))]),
        problemOf: (completion) =>
          outputBytes(completion, 0).equals(wanted)
            ? undefined
            : 'it gives other bytes than gunzip',
      };
    }),
  ];
}

/** A frame of independent blocks that are stored as they are, made by hand for want of an lz4 in Node. */
function storedLz4(data: Buffer): Buffer {
  // Magic number, version 1 with independent blocks, of 64 KiB, and the checksum of the two bytes before it.
  const head = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
  const parts: Buffer[] = [head];
  const blockBytes = 65_536;
  const stored = 0x8000_0000;
  for (let at = 0; at < data.length; at += blockBytes) {
    const block = data.subarray(at, at + blockBytes);
    parts.push(wordOf(stored + block.length), block);
  }
  return Buffer.concat([...parts, wordOf(0)]);
}

function wordOf(value: number): Buffer {
  const word = Buffer.alloc(4);
  word.writeUInt32LE(value);
  return word;
}

function compressedProblem(codec: CodecName, input: Buffer, data: Buffer): string | undefined {
  if (data.length >= input.length) return `it made ${data.length} bytes of ${input.length}`;
  if (codec === 'gzip') return gunzipProblem(input, data);
  const magic = magicNumbers[codec];
  const first = data.length < 4 ? 'nothing' : data.readUInt32LE(0).toString(16).padStart(8, '0');
  return first === magic ? undefined : `it begins with ${first}, not with ${codec}'s ${magic}`;
}

function gunzipProblem(input: Buffer, data: Buffer): string | undefined {
  try {
    return gunzipSync(data).equals(input) ? undefined : 'gunzip gives other bytes';
  } catch (error) {
    return `gunzip refuses it: ${(error as Error).message}`;
  }
}
