import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { isAnyArrayBuffer } from 'node:util/types';

import type { Cancellation } from './cancellation.js';
import type { BinaryInput } from './client.js';
import { checkAttached } from './attached-memory.js';
import { AxleError } from './errors.js';
import { fileError } from './file-error.js';
import { pathOfUrl } from './file-url.js';
import { readFilePieces, readWholeFile } from './file-reader.js';
import { isResizable } from './resizable-memory.js';

/** What messages call it. */
type InputKind = 'image' | 'input';

const smallerAdvice: Readonly<Record<InputKind, string>> = {
  image: 'scale it down, or raise the limit imageBytesMax',
  input: 'use compressStream or decompressStream, or raise the limit payloadBytesMax',
};

/** The whole of an input, which may lie in several pieces. */
export interface BinaryPieces {
  readonly pieces: readonly Uint8Array[];
  /** Of all pieces, when they were read: memory of the caller's may be transferred away after that. */
  readonly byteLength: number;
  /** Called once nothing reads the pieces any more; never, where that is not certain. */
  readonly recycle: () => void;
}

/**
 * The whole of an input in one piece; memory is viewed, not copied.
 *
 * @throws AxleError NOT_FOUND for a file that is not there and PERMISSION_DENIED for one that may not be read,
 * RESOURCE_EXHAUSTED past `bytesMax`, INVALID_ARGUMENT for something that is no input.
 */
export async function readBinaryInput(
  input: BinaryInput,
  what: InputKind,
  bytesMax: number,
  cancellation: Cancellation,
): Promise<BinaryPieces> {
  const bytes =
    memoryOf(input, what) ??
    (await cancellation.race(readElsewhere(input, what, bytesMax, cancellation)));
  if (bytes.byteLength > bytesMax) throw tooLarge(what, bytes.byteLength, bytesMax);
  return unshared([bytes], bytes.byteLength);
}

/** Past this many, pieces are put together: each one costs something. */
const piecesMax = 4096;

/** As `readBinaryInput`, for those who need no single piece: streams are not put together, files are read sooner. */
export async function readBinaryPieces(
  input: BinaryInput,
  what: InputKind,
  bytesMax: number,
  cancellation: Cancellation,
): Promise<BinaryPieces> {
  const path = pathOf(input);
  if (path !== undefined) {
    const file = await cancellation.race(readPath(path, what, bytesMax, readFilePieces));
    const byteLength = bytesOf(file.pieces);
    // It may have grown since its size was looked at.
    if (byteLength > bytesMax) throw tooLarge(what, byteLength, bytesMax);
    return { ...file, byteLength };
  }
  if (isIterable(input)) {
    const pieces = await cancellation.race(readStream(input, what, bytesMax, cancellation));
    return unshared(pieces.length > piecesMax ? [Buffer.concat(pieces)] : pieces, bytesOf(pieces));
  }
  return readBinaryInput(input, what, bytesMax, cancellation);
}

function unshared(pieces: readonly Uint8Array[], byteLength: number): BinaryPieces {
  return { pieces, byteLength, recycle: () => undefined };
}

function bytesOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
}

/**
 * Resizable memory is copied: it could shrink while a device reads it. Nothing in Node-API keeps other memory from being
 * transferred away meanwhile; callers are told not to.
 */
function memoryOf(input: BinaryInput, what: InputKind): Uint8Array | undefined {
  const view = ArrayBuffer.isView(input) ? input : undefined;
  const memory = view?.buffer ?? (isAnyArrayBuffer(input) ? input : undefined);
  if (memory === undefined) return undefined;
  checkAttached(memory, what);
  const bytes = new Uint8Array(
    memory,
    view?.byteOffset ?? 0,
    view?.byteLength ?? memory.byteLength,
  );
  return isResizable(memory) ? new Uint8Array(bytes) : bytes;
}

async function readElsewhere(
  input: unknown,
  what: InputKind,
  bytesMax: number,
  cancellation: Cancellation,
): Promise<Uint8Array> {
  const path = pathOf(input);
  if (path !== undefined) return readPath(path, what, bytesMax, readWholeFile);
  if (isIterable(input)) return joined(await readStream(input, what, bytesMax, cancellation));
  throw new AxleError(
    'INVALID_ARGUMENT',
    `the ${what} is ${input === null ? 'null' : typeof input}; give a Buffer, typed array, ArrayBuffer, path, file URL or stream`,
  );
}

function pathOf(input: unknown): string | undefined {
  if (typeof input === 'string') return input;
  if (!(input instanceof URL)) return undefined;
  return pathOfUrl(input, 'fetch it first and give the bytes');
}

async function readPath<T>(
  path: string,
  what: InputKind,
  bytesMax: number,
  read: (path: string, sizeBytes: number) => Promise<T>,
): Promise<T> {
  if (path === '') {
    const advice = 'give the path of a file; bytes are given as a Buffer';
    throw new AxleError('INVALID_ARGUMENT', `the path of the ${what} is empty; ${advice}`);
  }
  const problem = `cannot read the ${what} ${path}`;
  try {
    // Looked at before it is opened: opening a pipe waits for its writer, on a thread that others need.
    const info = await stat(path);
    if (!info.isFile()) {
      const advice = 'it is no regular file; give a stream of it instead';
      throw new AxleError('INVALID_ARGUMENT', `${problem}: ${advice}`);
    }
    if (info.size > bytesMax) throw tooLarge(what, info.size, bytesMax);
    return await read(path, info.size);
  } catch (error) {
    throw fileError(problem, error);
  }
}

/** Stops reading, and ends the source with the reason, when the call is to stop or the source is not what it should be. */
async function readStream(
  stream: AsyncIterable<unknown>,
  what: InputKind,
  bytesMax: number,
  cancellation: Cancellation,
): Promise<Uint8Array[]> {
  if (beingRead.has(stream)) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `the ${what} stream is being read by another call; give each call a stream of its own`,
    );
  }
  const source = openSource(stream, what);
  beingRead.add(stream);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const stop = { cancelled: source.end };
  cancellation.subscribe(stop);
  try {
    for await (const chunk of source.chunks) {
      cancellation.check();
      if (!(chunk instanceof Uint8Array)) {
        throw new AxleError(
          'INVALID_ARGUMENT',
          `the ${what} stream gives ${typeof chunk}s; it must give bytes`,
        );
      }
      bytes += chunk.byteLength;
      if (bytes > bytesMax) throw tooLarge(what, bytes, bytesMax);
      chunks.push(chunk);
    }
  } catch (error) {
    source.end(error);
    throw error;
  } finally {
    beingRead.delete(stream);
    cancellation.unsubscribe(stop);
  }
  return chunks;
}

/** A second reader would get some of the chunks, and leave the first without them. */
const beingRead = new WeakSet<AsyncIterable<unknown>>();

interface Source {
  readonly chunks: AsyncIterable<unknown>;
  /** Also while a chunk is waited for. */
  readonly end: (reason: unknown) => void;
}

function openSource(stream: AsyncIterable<unknown>, what: InputKind): Source {
  if (stream instanceof ReadableStream) return openWebStream(stream, what);
  if (!(stream instanceof Readable)) return { chunks: stream, end: () => undefined };
  if (stream.readableEnded || stream.destroyed) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `the ${what} stream was read to its end or destroyed before; open it anew`,
    );
  }
  return { chunks: stream, end: () => stream.destroy() };
}

function openWebStream(stream: ReadableStream<unknown>, what: InputKind): Source {
  if (stream.locked) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `the ${what} stream is locked by another reader; release it first, or give one branch of tee()`,
    );
  }
  const reader = stream.getReader();
  return {
    chunks: chunksOf(reader),
    end(reason) {
      const ended = stream.locked ? reader.cancel(reason) : stream.cancel(reason);
      // Whatever its source says of that, the call ends with the reason.
      ended.catch(() => undefined);
    },
  };
}

async function* chunksOf(reader: ReadableStreamDefaultReader<unknown>): AsyncGenerator<unknown> {
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    reader.releaseLock();
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
}

function isIterable(input: unknown): input is Readable | ReadableStream<Uint8Array> {
  if (typeof input !== 'object' || input === null) return false;
  return (
    typeof (input as { [Symbol.asyncIterator]?: unknown })[Symbol.asyncIterator] === 'function'
  );
}

function tooLarge(what: InputKind, bytes: number, bytesMax: number): AxleError {
  return new AxleError(
    'RESOURCE_EXHAUSTED',
    `the ${what} has ${bytes} bytes or more; the limit is ${bytesMax}; ${smallerAdvice[what]}`,
    { retryable: false },
  );
}
