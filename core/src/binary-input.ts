import { readFile, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { isAnyArrayBuffer } from 'node:util/types';

import type { Cancellation } from './cancellation.js';
import type { BinaryInput } from './client.js';
import { AxleError, messageOf } from './errors.js';

/**
 * The whole of an input in memory; memory is viewed, not copied.
 *
 * @param what for messages: 'image', 'input'.
 * @throws AxleError NOT_FOUND when a file cannot be read, RESOURCE_EXHAUSTED past `bytesMax`, INVALID_ARGUMENT for
 * something that is no input.
 */
export async function readBinaryInput(
  input: BinaryInput,
  what: string,
  bytesMax: number,
  cancellation: Cancellation,
): Promise<Uint8Array> {
  const bytes =
    memoryOf(input, what) ??
    (await cancellation.race(readElsewhere(input, what, bytesMax, cancellation)));
  if (bytes.byteLength > bytesMax) throw tooLarge(what, bytes.byteLength, bytesMax);
  return bytes;
}

/**
 * Resizable memory is copied: it could shrink while a device reads it. Nothing in Node-API keeps other memory from being
 * transferred away meanwhile; callers are told not to.
 */
function memoryOf(input: BinaryInput, what: string): Uint8Array | undefined {
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

function isResizable(memory: ArrayBufferLike): boolean {
  const { resizable, growable } = memory as { resizable?: boolean; growable?: boolean };
  return resizable === true || growable === true;
}

function checkAttached(memory: ArrayBufferLike, what: string): void {
  if (memory.byteLength > 0) return;
  try {
    new Uint8Array(memory);
  } catch (error) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `the memory of the ${what} was transferred elsewhere; give it before, or a copy of it`,
      { cause: error },
    );
  }
}

async function readElsewhere(
  input: unknown,
  what: string,
  bytesMax: number,
  cancellation: Cancellation,
): Promise<Uint8Array> {
  if (typeof input === 'string') return readPath(input, what, bytesMax);
  if (input instanceof URL) return readPath(pathOf(input), what, bytesMax);
  if (isIterable(input)) return readStream(input, what, bytesMax, cancellation);
  throw new AxleError(
    'INVALID_ARGUMENT',
    `the ${what} is ${input === null ? 'null' : typeof input}; give a Buffer, typed array, ArrayBuffer, path, file URL or stream`,
  );
}

function pathOf(url: URL): string {
  if (url.protocol === 'file:') return fileURLToPath(url);
  throw new AxleError(
    'INVALID_ARGUMENT',
    `'${url.href}' is no file URL; fetch it first and give the bytes`,
  );
}

async function readPath(path: string, what: string, bytesMax: number): Promise<Uint8Array> {
  const cannotRead = (why: string, cause?: unknown) =>
    new AxleError('NOT_FOUND', `cannot read the ${what} ${path}: ${why}`, { cause });
  try {
    // Looked at before it is opened: opening a pipe waits for its writer, on a thread that others need.
    const info = await stat(path);
    if (!info.isFile()) throw cannotRead('it is no regular file; give a stream of it instead');
    if (info.size > bytesMax) throw tooLarge(what, info.size, bytesMax);
    return await readFile(path);
  } catch (error) {
    throw error instanceof AxleError ? error : cannotRead(messageOf(error), error);
  }
}

/** Stops reading, and ends the source, when the call is to stop. */
async function readStream(
  stream: AsyncIterable<unknown>,
  what: string,
  bytesMax: number,
  cancellation: Cancellation,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const unsubscribe = cancellation.subscribe(() => {
    if (stream instanceof Readable) stream.destroy();
  });
  try {
    for await (const chunk of stream) {
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
  } finally {
    unsubscribe();
  }
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, bytes);
}

function isIterable(input: unknown): input is Readable | ReadableStream<Uint8Array> {
  return typeof input === 'object' && input !== null && Symbol.asyncIterator in input;
}

function tooLarge(what: string, bytes: number, bytesMax: number): AxleError {
  return new AxleError(
    'RESOURCE_EXHAUSTED',
    `the ${what} has ${bytes} bytes or more; the limit is ${bytesMax}. Use a stream, or raise the limit`,
    { retryable: false },
  );
}
