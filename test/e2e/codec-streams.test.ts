import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { gunzipSync } from 'node:zlib';

import { connect, type Client, type CodecName, type CodecStream } from 'axle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { mixed } from './mixed.js';
import { serveUnix } from './serve.js';

const codecs: readonly CodecName[] = ['zstd', 'lz4', 'gzip'];

/** Where the streams run, and how much is carried there: a server gets by with less of the tests' time. */
const places = [
  { place: 'in this process', isRemote: false, bytes: 30_000_000 },
  { place: 'on a server', isRemote: true, bytes: 12_000_000 },
] as const;

describe.each(places)('streams $place', ({ isRemote, bytes }) => {
  let client: Client;
  let endpoint = 'local:';

  beforeAll(async () => {
    if (isRemote) ({ endpoint } = await serveUnix('streams.sock'));
    client = await connect(endpoint);
  });
  afterAll(() => client.close());

  describe.each(codecs)('%s', (codec) => {
    it('streams in pieces of any size', async () => {
      const data = mixed(bytes);
      const compressed = await buffer(
        piecesOf(data, 777_777).pipe(client.compressStream({ codec })),
      );
      expect(unpacked(codec, compressed).equals(data)).toBe(true);
      const restored = await buffer(piecesOf(compressed, 65_537).pipe(client.decompressStream()));
      expect(restored.equals(data)).toBe(true);
    });

    it('streams nothing as an empty archive', async () => {
      const compressed = await buffer(Readable.from([]).pipe(client.compressStream({ codec })));
      expect(unpacked(codec, compressed)).toHaveLength(0);
    });

    it('stops a bomb at the cap', async () => {
      const { data } = await client.compress(Buffer.alloc(50_000_000), { codec });
      const stream = client.decompressStream({ outputBytesMax: 1_000_000 });
      await expect(pipeline(Readable.from([data]), stream, discard)).rejects.toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
      });
    });
  });

  it('copies what is written to a stream, whose writer may reuse its buffer', async () => {
    const stream = client.compressStream({ codec: 'gzip' });
    const result = buffer(stream);
    const piece = Buffer.alloc(1000);
    for (let i = 0; i < 10; i++) {
      piece.fill(i);
      await new Promise((resolve) => stream.write(piece, resolve));
    }
    stream.end();
    const restored = gunzipSync(await result);
    expect([...restored].filter((_, i) => i % 1000 === 0)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('holds nothing for a stream that nobody writes to', async () => {
    const other = await connect(endpoint, { limits: { callsInFlightMax: 1 } });
    const streams = Array.from({ length: 10 }, () => other.compressStream());
    await expect(other.compress(Buffer.from('x'))).resolves.toBeDefined();
    await other.close();
    for (const stream of streams) stream.destroy();
  });

  it.each<[string, (stream: CodecStream, own: Client, abort: AbortController) => unknown]>([
    ['its signal', (_stream, _own, abort) => abort.abort(new Error('enough'))],
    ['its deadline', () => undefined],
    ['the end of its client', (_stream, own) => own.close()],
  ])('ends a stream that waits for more input, by %s', async (what, end) => {
    const own = await connect(endpoint);
    const abort = new AbortController();
    const deadlineMs = what === 'its deadline' ? 30 : undefined;
    const stream = own.compressStream({ signal: abort.signal, deadlineMs });
    const closed = new Promise((resolve) => stream.once('close', resolve));
    const failure = new Promise((resolve) => stream.once('error', resolve));
    stream.write('a few bytes');
    await end(stream, own, abort);
    expect(await failure).toBeInstanceOf(Error);
    await closed;
    await own.close();
  });

  it('closes its client in peace, whoever left streams lying that nobody listens to', async () => {
    const thrown: unknown[] = [];
    const note = (error: unknown) => thrown.push(error);
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', note);
    try {
      const own = await connect(endpoint);
      const streams = [own.compressStream(), own.compressStream(), own.decompressStream()];
      const [small, large] = streams as [CodecStream, CodecStream];
      for (const stream of streams) stream.write('x');
      large.write(randomBytes(9_000_000));
      const read = own.compressStream();
      const result = buffer(read).catch((error: unknown) => error);
      read.write('x');
      const allClosed = streams.map((s) => new Promise((resolve) => s.once('close', resolve)));
      await own.close();
      await Promise.all(allClosed);
      expect(await result).toMatchObject({ code: 'CANCELLED' });
      expect(small.errored).toMatchObject({ code: 'CANCELLED' });
      await new Promise(setImmediate);
      expect(thrown).toEqual([]);
    } finally {
      process.removeListener('uncaughtException', note);
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
  });

  it('does no more work for a stream that was destroyed in the middle of a write', async () => {
    const own = await connect(endpoint);
    const stream = own.compressStream({ codec: 'lz4' });
    const closed = new Promise((resolve) => stream.once('close', resolve));
    stream.once('data', () => stream.destroy());
    stream.write(randomBytes(40_000_000));
    await closed;
    const { total } = stream.timingMs;
    // Closing waits for what is open: a second device stream would keep it for ever.
    await own.close();
    expect(total).toBeGreaterThan(0);
  });

  it('ends a stream when it is aborted', async () => {
    const controller = new AbortController();
    const stream = client.compressStream({ signal: controller.signal });
    const endless = Readable.from(
      repeat(mixed(100_000), () => {
        controller.abort();
      }),
    );
    await expect(pipeline(endless, stream, discard)).rejects.toMatchObject({ name: 'AbortError' });
  });
});

/** By the codec's own tool. */
function unpacked(codec: CodecName, archive: Uint8Array): Buffer {
  return execFileSync(codec, ['-d', '-c'], { input: archive, maxBuffer: 2 ** 30 });
}

function piecesOf(data: Buffer, size: number): Readable {
  return Readable.from(
    (function* () {
      for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
    })(),
  );
}

function* repeat(piece: Buffer, atTwoHundred: () => void) {
  for (let i = 0; ; i++) {
    if (i === 200) atTwoHundred();
    yield piece;
  }
}

async function discard(source: AsyncIterable<unknown>): Promise<void> {
  for await (const chunk of source) void chunk;
}
