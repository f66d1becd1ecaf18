import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gunzipSync, gzipSync } from 'node:zlib';

import { connect, type Client, type CodecName } from 'axle';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { mixed } from './mixed.js';

const tools: Readonly<Record<CodecName, string>> = { zstd: 'zstd', lz4: 'lz4', gzip: 'gzip' };
const codecs = Object.keys(tools) as CodecName[];
const levels: Readonly<Record<CodecName, readonly number[]>> = {
  zstd: Array.from({ length: 22 }, (_, i) => i + 1),
  lz4: Array.from({ length: 12 }, (_, i) => i + 1),
  gzip: Array.from({ length: 12 }, (_, i) => i + 1),
};

let client: Client;
beforeAll(async () => {
  client = await connect();
});
afterAll(() => client.close());

function tool(name: string, args: readonly string[], input: Uint8Array): Buffer {
  return execFileSync(name, [...args], {
    input,
    maxBuffer: 2 ** 30,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

function cut(data: Buffer, bytes: number): Buffer[] {
  return Array.from({ length: Math.ceil(data.length / bytes) }, (_, i) =>
    data.subarray(i * bytes, (i + 1) * bytes),
  );
}

describe.each(codecs)('%s', (codec) => {
  it('is read by its own tool at every level', async () => {
    const data = mixed(300_000);
    for (const level of levels[codec]) {
      const result = await client.compress(data, { codec, level });
      expect(result).toMatchObject({ codec, level, device: 'cpu-fallback:0' });
      expect(result.data.length).toBeLessThan(data.length);
      expect(tool(tools[codec], ['-d', '-c'], result.data).equals(data)).toBe(true);
    }
  });

  it('is read by its own tool when it was split over cores', async () => {
    const data = mixed(20_000_000);
    const { data: compressed } = await client.compress(data, { codec });
    expect(tool(tools[codec], ['-d', '-c'], compressed).equals(data)).toBe(true);
    expect((await client.decompress(compressed)).data.equals(data)).toBe(true);
  });

  it('is the same from memory, a file and a stream', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'axle-test-'));
    try {
      const data = mixed(18_000_000);
      const path = join(folder, 'data');
      await writeFile(path, data);
      const { data: wanted } = await client.compress(data, { codec, level: 1 });
      for (const input of [path, path, Readable.from(cut(data, 77_777))]) {
        const { data: compressed } = await client.compress(input, { codec, level: 1 });
        expect(compressed.equals(wanted)).toBe(true);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('takes a stream of nothing, and one of very many pieces', async () => {
    const nothing = await client.compress(Readable.from([]), { codec });
    expect(tool(tools[codec], ['-d', '-c'], nothing.data)).toHaveLength(0);
    const bytes = mixed(5000);
    const { data } = await client.compress(Readable.from(cut(bytes, 1)), { codec });
    expect((await client.decompress(data)).data.equals(bytes)).toBe(true);
  });

  it('reads what its own tool wrote, alone and several one after another', async () => {
    const data = mixed(3_000_000);
    const archive = tool(tools[codec], ['-c'], data);
    expect((await client.decompress(archive)).data.equals(data)).toBe(true);
    const two = await client.decompress(Buffer.concat([archive, archive]), { codec });
    expect(two.data.equals(Buffer.concat([data, data]))).toBe(true);
  });

  it('round-trips any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), async (bytes) => {
        const { data } = await client.compress(bytes, { codec });
        expect([...(await client.decompress(data)).data]).toEqual([...bytes]);
      }),
      { numRuns: 100 },
    );
  });

  it('refuses a truncated archive at every length', async () => {
    const { data } = await client.compress(mixed(500), { codec });
    for (let length = 0; length < data.length; length++) {
      await expect(client.decompress(data.subarray(0, length), { codec })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
  });

  it('never gives other bytes for a tampered archive', async () => {
    const original = mixed(2000);
    const { data } = await client.compress(original, { codec });
    for (let bit = 0; bit < data.length * 8; bit += 7) {
      const tampered = Buffer.from(data);
      tampered[bit >> 3] = (tampered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const outcome = await client.decompress(tampered, { codec }).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toMatchObject({ name: 'AxleError' });
      else expect((outcome as { data: Buffer }).data.equals(original)).toBe(true);
    }
  });

  it('refuses garbage behind an archive', async () => {
    const { data } = await client.compress(mixed(500), { codec });
    await expect(
      client.decompress(Buffer.concat([data, Buffer.from('garbage')])),
    ).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('stops a bomb at the cap', async () => {
    const { data } = await client.compress(Buffer.alloc(50_000_000), { codec });
    const stopped = {
      code: 'RESOURCE_EXHAUSTED',
      retryable: false,
      message:
        'the output is more than 1000000 bytes; raise outputBytesMax if that much is expected, or use a stream',
    };
    await expect(client.decompress(data, { outputBytesMax: 1_000_000 })).rejects.toMatchObject(
      stopped,
    );
    await using limited = await connect({ limits: { outputBytesMax: 1_000_000 } });
    await expect(limited.decompress(data)).rejects.toMatchObject({
      ...stopped,
      message: expect.stringMatching(/raise the limit outputBytesMax of the client/) as string,
    });
  });

  it.each([0, 99, 1.5])('refuses level %d, naming the range', async (level) => {
    await expect(client.compress(Buffer.from('x'), { codec, level })).rejects.toThrow(
      /has levels 1 to/,
    );
  });
});

describe('codecs', () => {
  it("agrees with Node's zlib on gzip", async () => {
    const data = mixed(2_000_000);
    expect(gunzipSync((await client.compress(data, { codec: 'gzip' })).data).equals(data)).toBe(
      true,
    );
    expect((await client.decompress(gzipSync(data))).data.equals(data)).toBe(true);
  });

  it('refuses an unknown codec, and bytes of no codec', async () => {
    const brotli = 'brotli' as CodecName;
    await expect(client.compress(Buffer.from('x'), { codec: brotli })).rejects.toThrow(
      /no codec 'brotli'; give one of zstd, lz4, gzip/,
    );
    await expect(client.decompress(Buffer.from('not an archive'))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(client.decompress(Buffer.alloc(0))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('refuses memory that was transferred away, and copies memory that can shrink', async () => {
    const gone = new Uint8Array(100);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    await expect(client.compress(gone)).rejects.toThrow(/was transferred elsewhere/);
    const archive = (await client.compress(Buffer.from('x'))).data;
    for (const call of [
      (input: Uint8Array) => client.compress(input),
      (input: Uint8Array) => client.compress([input]),
      (input: Uint8Array) => client.decompress(input),
      (input: Uint8Array) => client.classify(input),
    ]) {
      const memory = new Uint8Array(archive);
      const pending = call(memory);
      // In the turn of the call, before any device sees it.
      structuredClone(memory, { transfer: [memory.buffer] });
      await expect(pending).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(/was transferred elsewhere/) as string,
      });
    }

    const Resizable = ArrayBuffer as new (bytes: number, options: object) => ArrayBuffer;
    const memory = new Resizable(1_000_000, { maxByteLength: 2_000_000 });
    const call = client.compress(memory, { codec: 'gzip' });
    (memory as unknown as { resize(bytes: number): void }).resize(0);
    expect(gunzipSync((await call).data)).toHaveLength(1_000_000);
  });

  it('refuses a stream that was read before', async () => {
    const source = Readable.from([Buffer.from('x')]);
    await client.compress(source);
    await expect(client.compress(source)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(() => client.decompressStream({ outputBytesMax: -1 })).toThrow(/outputBytesMax is -1/);
  });

  it('refuses a stream that another call reads, which gets all of it', async () => {
    const data = mixed(500_000);
    const asReadable = () => Readable.from(cut(data, 7777));
    for (const source of [
      asReadable(),
      Readable.toWeb(asReadable()) as ReadableStream<Uint8Array>,
    ]) {
      const [whole, second] = await Promise.allSettled([
        client.compress(source, { codec: 'gzip' }),
        client.compress(source, { codec: 'gzip' }),
      ]);
      expect(second).toMatchObject({
        status: 'rejected',
        reason: {
          code: 'INVALID_ARGUMENT',
          message:
            'the input stream is being read by another call; give each call a stream of its own',
        },
      });
      if (whole.status === 'rejected') throw whole.reason;
      expect(gunzipSync(whole.value.data).equals(data)).toBe(true);
    }
    const twice = Readable.from(cut(data, 7777));
    await expect(client.compress([twice, twice])).rejects.toMatchObject({ index: 1 });
  });

  it('refuses wrong options of no inputs', async () => {
    const wrong: readonly Promise<unknown>[] = [
      client.compress([], { level: 99 }),
      client.decompress([], { outputBytesMax: -1 }),
      client.run('axle.test/none', [], { args: [] as never }),
      client.infer('mlp', [], { modle: 1 } as never),
    ];
    for (const call of wrong)
      await expect(call).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await client.compress([])).toEqual([]);
  });

  it('ends a web stream that it reads, with the reason, when it is aborted or refuses what comes', async () => {
    const ends: unknown[] = [];
    const endless = (chunk?: unknown) =>
      new ReadableStream({
        async pull(controller) {
          if (chunk === undefined) await new Promise(() => undefined);
          else controller.enqueue(chunk);
        },
        cancel(reason) {
          ends.push(reason);
        },
      });
    const aborting = new AbortController();
    const waiting = endless();
    const aborted = client.compress(waiting, { signal: aborting.signal });
    const reason = new Error('enough');
    setImmediate(() => {
      aborting.abort(reason);
    });
    await expect(aborted).rejects.toBe(reason);
    expect(ends).toEqual([reason]);
    await expect.poll(() => waiting.locked).toBe(false);

    await using limited = await connect({ limits: { payloadBytesMax: 1000 } });
    for (const [chunk, code] of [
      [Buffer.alloc(600), 'RESOURCE_EXHAUSTED'],
      ['text', 'INVALID_ARGUMENT'],
    ] as const) {
      const stream = endless(chunk);
      await expect(limited.compress(stream)).rejects.toMatchObject({ code });
      expect(ends.pop()).toMatchObject({ code });
      expect(stream.locked).toBe(false);
    }
    const late = client.compress(endless(), { deadlineMs: 1 });
    await expect(late).rejects.toThrow(/deadline \(1 ms were left\); give it more time$/);
    const read = new Blob(['x']).stream();
    await client.compress(read);
    expect(read.locked).toBe(false);
  });

  it('refuses a web stream that another reads', async () => {
    const stream = new ReadableStream<Uint8Array>();
    const reader = stream.getReader();
    await expect(client.compress(stream)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/locked by another reader/) as string,
    });
    reader.releaseLock();
  });

  it('can be aborted in the middle of long work', async () => {
    const controller = new AbortController();
    const noLevel = client.compress(Buffer.from('x'), { level: null as unknown as number });
    await expect(noLevel).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const call = client.compress(mixed(64_000_000), { level: 19, signal: controller.signal });
    setImmediate(() => {
      controller.abort();
    });
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
    await expect(client.compress(Buffer.from('still there'))).resolves.toBeDefined();
  });
});
