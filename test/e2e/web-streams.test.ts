import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';

import { connect, defaultLimits, type Client, type CodecName } from 'axle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { callEnded } from './call-ended.js';
import { serveUnix } from './serve.js';

const MiB = 1024 * 1024;
const codecs: readonly CodecName[] = ['zstd', 'lz4', 'gzip'];
/** What one connection holds of a stream, MiB: its windows both ways, and input that waits for credit. */
const windowsMiB = 4 + 8 + 1;
/**
 * Where the streams run, and how much is carried there: a server gets by with less of the tests' time. Two connections
 * lead to a server's device: to the server, and on to its device host.
 */
const places = [
  { place: 'in this process', isRemote: false, textMiB: 20, longMiB: 512, hops: 0 },
  { place: 'on a server', isRemote: true, textMiB: 5, longMiB: 128, hops: 2 },
] as const;

/** A stream of the same bytes again and again, made as they are asked for. */
class Source {
  pulledBytes = 0;
  cancelled: unknown;
  readonly stream: ReadableStream<Uint8Array>;

  constructor(piece: Uint8Array, bytes: number) {
    this.stream = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          if (this.pulledBytes >= bytes) {
            controller.close();
            return;
          }
          this.pulledBytes += piece.byteLength;
          controller.enqueue(piece);
        },
        cancel: (reason) => {
          this.cancelled = reason;
        },
      },
      { highWaterMark: 0 },
    );
  }
}

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  return Buffer.from(await new Response(stream).arrayBuffer());
}

/** Turns of the event loop in which whoever is not held back would go on. */
async function someTurns(): Promise<void> {
  for (let i = 0; i < 20; i++) await setImmediate();
}

describe.each(places)('web streams $place', ({ isRemote, textMiB, longMiB, hops }) => {
  let client: Client;
  let endpoint = 'local:';

  beforeAll(async () => {
    if (isRemote) ({ endpoint } = await serveUnix('web.sock'));
    client = await connect(endpoint);
  });
  afterAll(() => client.close());

  it.each(codecs)('of %s carry the bytes of a Blob there and back', async (codec) => {
    const data = Buffer.concat([randomBytes(3 * MiB), Buffer.alloc(textMiB * MiB, 'text ')]);
    const archive = await bytesOf(
      new Blob([data]).stream().pipeThrough(client.compressWebStream({ codec, level: 1 })),
    );
    expect(archive.byteLength).toBeLessThan(data.byteLength / 2);
    const restored = new Blob([archive]).stream().pipeThrough(client.decompressWebStream());
    expect((await bytesOf(restored)).equals(data)).toBe(true);
  });

  it('fit the body of a fetch', async () => {
    const response = new Response('a body '.repeat(1000));
    const body = response.body?.pipeThrough(client.compressWebStream({ codec: 'gzip' }));
    const encoded = await new Response(body).arrayBuffer();
    expect(gunzipSync(encoded).toString()).toBe('a body '.repeat(1000));
  });

  it('take memory of any kind and nothing else', async () => {
    const { readable, writable } = client.compressWebStream({ codec: 'gzip' });
    const read = bytesOf(readable);
    const writer = writable.getWriter();
    const shared = new SharedArrayBuffer(2);
    new Uint8Array(shared).fill(3);
    await writer.write(new ArrayBuffer(1));
    await writer.write(new DataView(Uint8Array.of(9, 1, 2, 9).buffer, 1, 2));
    await writer.write(shared);
    await writer.close();
    expect([...gunzipSync(await read)]).toEqual([0, 1, 2, 3, 3]);

    const refusing = client.compressWebStream();
    const text = 'not bytes' as unknown as Uint8Array;
    const refused = refusing.writable.getWriter().write(text);
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(bytesOf(refusing.readable)).rejects.toThrow();
  });

  it.each([
    ['an ArrayBuffer', (memory: ArrayBuffer) => memory],
    ['a Uint8Array', (memory: ArrayBuffer) => new Uint8Array(memory)],
    ['a DataView', (memory: ArrayBuffer) => new DataView(memory, 2)],
  ])('refuse %s whose memory was transferred, on both sides', async (_what, chunkOf) => {
    const { readable, writable } = client.compressWebStream();
    const memory = new ArrayBuffer(8);
    const chunk = chunkOf(memory);
    const read = expect(readable.getReader().read()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    structuredClone(memory, { transfer: [memory] });
    await expect(writable.getWriter().write(chunk)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('transferred') as string,
    });
    await read;
  });

  it('ask for no more than fits in their buffers while nobody reads', async () => {
    const source = new Source(randomBytes(MiB), longMiB * MiB);
    const output = source.stream.pipeThrough(client.compressWebStream({ codec: 'lz4' }));
    const { streamWriteBytesMax, streamOutputBytesMax } = defaultLimits;
    const heldMax = 2 * streamWriteBytesMax + streamOutputBytesMax + hops * windowsMiB * MiB;
    const rssAtStart = process.memoryUsage.rss();
    let readBytes = 0;
    let heldBytes = 0;
    let rss = 0;
    const reader = output.getReader();
    for (;;) {
      await someTurns();
      const { done, value } = await reader.read();
      if (done) break;
      // Random bytes: as much comes out as goes in.
      readBytes += value.byteLength;
      heldBytes = Math.max(heldBytes, source.pulledBytes - readBytes);
      rss = Math.max(rss, process.memoryUsage.rss());
    }
    expect(readBytes).toBeGreaterThanOrEqual(longMiB * MiB);
    expect(heldBytes).toBeLessThanOrEqual(heldMax);
    expect(rss - rssAtStart).toBeLessThan(256 * MiB);
  });

  it('hold back an archive that expands a thousandfold', async () => {
    const limits = { streamOutputBytesMax: MiB, streamWriteBytesMax: MiB };
    await using small = await connect(endpoint, { limits });
    const source = new Source(gzipSync(Buffer.alloc(64 * MiB)), 16 * MiB);
    const { readable, writable } = small.decompressWebStream({ codec: 'gzip' });
    const piped = expect(source.stream.pipeTo(writable)).rejects.toBe('enough');
    const reader = readable.getReader();
    const first = await reader.read();
    const rssAtStart = process.memoryUsage.rss();
    await someTurns();
    expect(first.value?.byteLength).toBeLessThanOrEqual(MiB);
    expect(process.memoryUsage.rss() - rssAtStart).toBeLessThan(64 * MiB);
    await reader.cancel('enough');
    await piped;
  });

  it('fail on both sides when the input is damaged', async () => {
    const { readable, writable } = client.decompressWebStream({ codec: 'zstd' });
    const piped = new Blob(['not zstd at all']).stream().pipeTo(writable);
    await Promise.all([
      expect(bytesOf(readable)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' }),
      expect(piped).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' }),
    ]);
  });

  it("fail with the source's own error", async () => {
    const ended = callEnded();
    let pulls = 0;
    const source = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (pulls++ < 3) controller.enqueue(randomBytes(1000));
        else controller.error(new Error('the source broke'));
      },
    });
    const output = source.pipeThrough(client.compressWebStream());
    await expect(bytesOf(output)).rejects.toThrow('the source broke');
    await ended;
  });

  it('stop the source and free the device when their reader cancels', async () => {
    const ended = callEnded();
    const source = new Source(randomBytes(MiB), 512 * MiB);
    const reader = source.stream.pipeThrough(client.compressWebStream()).getReader();
    await reader.read();
    await someTurns();
    await reader.cancel('enough');
    await ended;
    await someTurns();
    expect(source.cancelled).toBe('enough');
    expect(source.pulledBytes).toBeLessThan(512 * MiB);
  });

  it('fail for the reader, and free the device, when their writer aborts', async () => {
    const ended = callEnded();
    const { readable, writable } = client.compressWebStream();
    const writer = writable.getWriter();
    const closed = expect(writer.closed).rejects.toThrow('no more');
    await writer.write(randomBytes(1000));
    const read = expect(bytesOf(readable)).rejects.toThrow('no more');
    await writer.abort(new Error('no more'));
    await Promise.all([read, closed, ended]);
  });

  it('end by their signal and with their client', async () => {
    const own = await connect(endpoint);
    const abort = new AbortController();
    const aborted = own.compressWebStream({ signal: abort.signal });
    const left = own.compressWebStream();
    const writer = left.writable.getWriter();
    await writer.write(randomBytes(10));
    abort.abort(new Error('stopped'));
    await expect(bytesOf(aborted.readable)).rejects.toThrow('stopped');
    await expect(aborted.writable.getWriter().closed).rejects.toThrow('stopped');
    await own.close();
    await expect(writer.closed).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(bytesOf(left.readable)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
