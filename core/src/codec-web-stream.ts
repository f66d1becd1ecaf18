import { isAnyArrayBuffer } from 'node:util/types';

import { argumentError } from './argument-error.js';
import { checkAttached } from './attached-memory.js';
import type { CodecStream } from './codec-stream.js';
import type { AxleError } from './errors.js';

/** A codec as web streams: what `pipeThrough` takes. */
export interface CodecWebStream {
  readonly readable: ReadableStream<Uint8Array>;
  /** Takes memory of any kind; it may be used again once its write has settled. */
  readonly writable: WritableStream<ArrayBufferView | ArrayBuffer | SharedArrayBuffer>;
}

/**
 * The web form of a codec's stream. Not by `Duplex.toWeb`, which in Node 20 queues as many chunks as the stream's
 * high-water mark has bytes, and never settles a cancel while a write waits for the reader.
 */
export function toWebStream(stream: CodecStream): CodecWebStream {
  let output: ReadableStreamDefaultController<Uint8Array>;
  let input: WritableStreamDefaultController;
  const closed = new Promise<void>((resolve) => {
    stream.once('close', resolve);
  });
  const end = (): Promise<void> => {
    stream.destroy();
    return closed;
  };

  const readable = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        output = controller;
      },
      pull() {
        stream.resume();
      },
      cancel(reason: unknown) {
        input.error(reason);
        return end();
      },
    },
    // Output waits in the codec's stream, which counts its bytes.
    { highWaterMark: 0 },
  );
  const writable: CodecWebStream['writable'] = new WritableStream({
    start(controller) {
      input = controller;
    },
    write: (chunk) => write(stream, chunk),
    close: () =>
      settled(stream, (done) => {
        stream.end(done);
      }),
    abort(reason: unknown) {
      output.error(reason);
      return end();
    },
  });

  stream.pause();
  stream.on('data', ({ buffer, byteOffset, byteLength }: Uint8Array) => {
    stream.pause();
    output.enqueue(new Uint8Array(buffer, byteOffset, byteLength));
  });
  stream.once('end', () => {
    output.close();
  });
  stream.once('error', (error) => {
    output.error(error);
    input.error(error);
  });
  return { readable, writable };
}

function write(stream: CodecStream, chunk: unknown): Promise<void> {
  let bytes: Buffer;
  try {
    bytes = bytesOf(chunk);
  } catch (thrown) {
    const error = thrown as AxleError;
    // The reader waits for an end that nobody will write.
    stream.destroy(error);
    return Promise.reject(error);
  }
  return settled(stream, (done) => {
    stream.write(bytes, done);
  });
}

/** @throws AxleError INVALID_ARGUMENT for what is no memory, or is no longer there. */
function bytesOf(chunk: unknown): Buffer {
  const isView = ArrayBuffer.isView(chunk);
  const memory: unknown = isView ? chunk.buffer : chunk;
  if (!isAnyArrayBuffer(memory)) {
    throw argumentError('a chunk of a stream', chunk, 'an ArrayBuffer or a view of one');
  }
  checkAttached(memory, 'chunk');
  return isView ? Buffer.from(memory, chunk.byteOffset, chunk.byteLength) : Buffer.from(memory);
}

/** What ended the stream is what went wrong, whatever a write that it cut short says. */
function settled(
  stream: CodecStream,
  work: (done: (error?: Error | null) => void) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    work((error) => {
      if (error === undefined || error === null) resolve();
      else reject(stream.errored ?? error);
    });
  });
}
