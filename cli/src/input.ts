import { fstatSync } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { addAbortSignal, type Readable } from 'node:stream';

import { FileError, fileFailure } from './failure.js';
import { openPipeForReading } from './special-file.js';

const readBytes = 1024 * 1024;

/** The bytes that a command works on. */
export interface Input {
  /** For messages. */
  readonly name: string;
  /** Of a regular file, which may change while it is read; undefined for pipes and devices. */
  readonly sizeBytes: number | undefined;
  /** Permissions of a regular file. */
  readonly mode: number | undefined;
  /** To be called once. Read it or `close`. */
  stream(): Readable;
  close(): Promise<void>;
}

/** Opens a file, a pipe or, for `-`, standard input. Fails before anything is done when it cannot be read. */
export async function openInput(name: string): Promise<Input> {
  if (name === '-') return standardInput();
  try {
    const status = await stat(name);
    if (status.isDirectory()) throw isDirectory(name);
    if (status.isFIFO()) return pipe(name);
    const handle = await open(name, 'r');
    const regular = status.isFile();
    return {
      name,
      sizeBytes: regular ? status.size : undefined,
      mode: regular ? status.mode & 0o777 : undefined,
      stream: () => named(handle.createReadStream({ highWaterMark: readBytes }), name),
      close: () => closeIfOpen(handle),
    };
  } catch (error) {
    throw fileFailure(error, name);
  }
}

function standardInput(): Input {
  const name = 'standard input';
  const status = fstatSync(0);
  if (status.isDirectory()) throw isDirectory(name);
  return {
    name,
    sizeBytes: status.isFile() ? status.size : undefined,
    mode: undefined,
    stream: () => named(process.stdin, name),
    close: () => Promise.resolve(void process.stdin.destroy()),
  };
}

async function pipe(name: string): Promise<Input> {
  const stream = await openPipeForReading(name);
  return {
    name,
    sizeBytes: undefined,
    mode: undefined,
    stream: () => named(stream, name),
    close: () => Promise.resolve(void stream.destroy()),
  };
}

/** Gives errors of reading the name of the file, which the system does not say. */
function named(stream: Readable, name: string): Readable {
  return stream.prependListener('error', (error: NodeJS.ErrnoException) => {
    error.path ??= name;
  });
}

/**
 * Reads an input to its end into memory. Pipes and devices have no size to look at, so what comes is counted.
 *
 * @throws FileError RESOURCE_EXHAUSTED past `bytesMax`; the reason of `signal`.
 */
export async function readWhole(
  input: Input,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of addAbortSignal(signal, input.stream()) as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) {
      throw new FileError('RESOURCE_EXHAUSTED', `it has more than ${bytesMax} bytes, the limit`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function closeIfOpen(handle: FileHandle): Promise<void> {
  if (handle.fd >= 0) await handle.close();
}

function isDirectory(name: string): FileError {
  return new FileError('INVALID_ARGUMENT', `${name} is a directory; give a file`);
}
