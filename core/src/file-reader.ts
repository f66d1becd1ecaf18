import { open, readFile, type FileHandle } from 'node:fs/promises';

import { AxleError } from './errors.js';

/** From this size on several threads read a file; below it, sharing costs more than it gains. */
const sharedBytesMin = 4 * 1024 * 1024;
/** Reads of one file that go on at once; libuv has four threads by default. */
const readsMax = 2;
/** A whole number of every block that the codecs cut their input into, so that none lies across two of ours. */
const blockBytes = 8 * 1024 * 1024;
const pageBytes = 4096;
/** Blocks that are kept for the next file, and for how long nobody need ask for them. */
const idleBlocksMax = 8;
const idleMs = 5000;

/**
 * The content of a regular file in one piece, as `readFile` gives it, but sooner: `readFile` takes a large file in
 * many small turns.
 *
 * @param sizeBytes what `stat` says.
 */
export async function readWholeFile(path: string, sizeBytes: number): Promise<Buffer> {
  if (sizeBytes < sharedBytesMin) return readFile(path);
  const content = Buffer.allocUnsafeSlow(sizeBytes);
  const share = Math.ceil(sizeBytes / readsMax / pageBytes) * pageBytes;
  await readInto(path, pieces(content, share));
  return content;
}

/** The content of a file in pieces. */
export interface FilePieces {
  readonly pieces: readonly Uint8Array[];
  /** Offers the memory to the next file. Only for who knows that nothing reads it any more. */
  readonly recycle: () => void;
}

/**
 * The content of a regular file in pieces whose memory serves again: with fresh memory, reading takes three times as
 * long.
 *
 * @param sizeBytes what `stat` says.
 */
export async function readFilePieces(path: string, sizeBytes: number): Promise<FilePieces> {
  if (sizeBytes < sharedBytesMin)
    return { pieces: [await readFile(path)], recycle: () => undefined };
  const blocks = Array.from({ length: Math.ceil(sizeBytes / blockBytes) }, () => idleBlocks.take());
  const parts = blocks.map((block, i) => block.subarray(0, sizeBytes - i * blockBytes));
  await readInto(path, parts);
  return {
    pieces: parts,
    recycle: () => {
      for (const block of blocks) idleBlocks.keep(block);
    },
  };
}

/** Fills the parts, one after another in the file, a few at a time. */
async function readInto(path: string, parts: readonly Buffer[]): Promise<void> {
  const file = await open(path);
  try {
    let next = 0;
    let position = 0;
    const work = async (): Promise<void> => {
      for (let part = parts[next]; part !== undefined; part = parts[next]) {
        const at = position;
        next += 1;
        position += part.length;
        await fill(file, part, at);
      }
    };
    // The file stays open until no read is on its way, also when one failed.
    const outcomes = await Promise.allSettled(Array.from({ length: readsMax }, work));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  } finally {
    await file.close();
  }
}

/** @throws AxleError ABORTED when the file ends before. */
async function fill(file: FileHandle, part: Buffer, position: number): Promise<void> {
  for (let done = 0; done < part.length;) {
    const { bytesRead } = await file.read(part, done, part.length - done, position + done);
    if (bytesRead === 0)
      throw new AxleError(
        'ABORTED',
        'it became shorter while it was read; try again when nobody writes to it',
      );
    done += bytesRead;
  }
}

function pieces(content: Buffer, bytes: number): Buffer[] {
  const list: Buffer[] = [];
  for (let at = 0; at < content.length; at += bytes) list.push(content.subarray(at, at + bytes));
  return list;
}

class IdleBlocks {
  private blocks: Buffer[] = [];
  private timer: NodeJS.Timeout | undefined;

  take(): Buffer {
    return this.blocks.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
  }

  keep(block: Buffer): void {
    if (this.blocks.length >= idleBlocksMax) return;
    this.blocks.push(block);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.blocks = [];
    }, idleMs).unref();
    this.timer.refresh();
  }
}

const idleBlocks = new IdleBlocks();
