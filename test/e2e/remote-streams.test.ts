import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';

import { connect } from 'axle';
import { WireErrorId, type DataFrame, type Frame, type StreamFrame } from '@axle/remoting';
import { beforeAll, describe, expect, it } from 'vitest';

import { bindCompress, callOf, hello, RawPeer } from './raw-peer.js';
import { bytesOf, folder, serveUnix, type RunningServer } from './serve.js';

const MiB = 1024 * 1024;

function stream(id: number, binding: number, changes: Partial<StreamFrame> = {}): StreamFrame {
  return { type: 'STREAM', id, binding, deadlineUs: 0, priority: 0, trace: undefined, ...changes };
}

function data(id: number, bytes: Uint8Array, end = false): DataFrame {
  return { type: 'DATA', id, end, data: bytes };
}

const bindGunzip = (id: number) =>
  bindCompress(id, { op: 7, args: [{ name: 'codec', type: 'INT', value: 3 }] });
const bindGzip = (id: number) =>
  bindCompress(id, { args: [{ name: 'codec', type: 'INT', value: 3 }] });

/** Resident memory of a process, bytes. */
function residentBytes(pid: number): number {
  const pages = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1];
  return Number(pages) * 4096;
}

function outputOf(peer: RawPeer, id: number): Buffer {
  const parts = peer.frames.flatMap((frame) =>
    frame.type === 'DATA' && frame.id === id ? [frame.data] : [],
  );
  return Buffer.concat(parts);
}

describe('a stream over the wire', () => {
  let server: RunningServer;
  const at = (...frames: readonly Frame[]) => RawPeer.at(join(folder, 'wire.sock'), ...frames);

  beforeAll(async () => {
    server = await serveUnix('wire.sock');
  });

  it('gives all output, then a RESULT without tensors that says which device it was', async () => {
    const peer = await at(
      hello,
      bindGzip(1),
      stream(2, 1),
      data(2, bytesOf(60_000)),
      data(2, bytesOf(5), true),
    );
    expect(await peer.answerOf(2)).toMatchObject({ type: 'RESULT', outputs: [], device: 1 });
    const unpacked = gunzipSync(outputOf(peer, 2));
    expect(unpacked.equals(Buffer.concat([bytesOf(60_000), bytesOf(5)]))).toBe(true);
    peer.close();
  });

  it('may be left unread: it takes its window, and all else goes on', async () => {
    const bomb = gzipSync(Buffer.alloc(128 * MiB));
    const peer = await at(hello, bindGunzip(1), stream(2, 1));
    for (let from = 0; from < bomb.length; from += 60_000) {
      const piece = bomb.subarray(from, from + 60_000);
      peer.send(data(2, piece, from + piece.length === bomb.length));
    }
    const ofStream = () => outputOf(peer, 2).length;
    // Less than a frame is left of the window then.
    await peer.waitFor(() => ofStream() > hello.streamWindow - hello.payloadMax);
    const before = residentBytes(server.process.pid as number);
    for (let id = 3; id < 40; id++) {
      peer.send(callOf(id, 1, gzipSync(bytesOf(1000))));
      expect(await peer.answerOf(id)).toMatchObject({ type: 'RESULT' });
    }
    expect(ofStream()).toBeLessThanOrEqual(hello.streamWindow);
    expect(residentBytes(server.process.pid as number) - before).toBeLessThan(32 * MiB);
    peer.send({ type: 'CREDIT', id: 2, bytes: MiB });
    await peer.waitFor(() => ofStream() > 2 * MiB - 2 * hello.payloadMax);
    peer.send({ type: 'CANCEL', id: 2 });
    expect(await peer.answerOf(2)).toMatchObject({ type: 'ERROR', code: 'CANCELLED' });
    peer.close();
  });

  it('takes no more of what nobody reads than fits on the way', async () => {
    const client = await connect(server.endpoint);
    const codec = client.compressStream({ codec: 'lz4' });
    const piece = randomBytes(MiB);
    let written = 0;
    while (codec.write(piece)) written += piece.length;
    // Held up for good: nobody reads.
    while (!codec.writableNeedDrain) await once(codec, 'drain');
    for (let i = 0; i < 5; i++) await client.compress(piece, { codec: 'lz4' });
    expect(written).toBeLessThan(64 * MiB);
    expect(codec.device).toBe('remote/cpu-fallback:0');
    codec.destroy();
    await client.close();
  });

  it('fails in the middle with what the device says, and the connection goes on', async () => {
    const peer = await at(hello, bindGunzip(1), stream(2, 1), data(2, bytesOf(1000)));
    expect(await peer.answerOf(2)).toMatchObject({ type: 'ERROR', code: 'INVALID_ARGUMENT' });
    peer.send(data(2, bytesOf(10), true), callOf(3, 1, gzipSync(bytesOf(10))));
    expect(await peer.answerOf(3)).toMatchObject({ type: 'RESULT' });
    peer.close();
  });

  it.each<[string, Frame[], object]>([
    [
      'its deadline passes',
      [bindGzip(1), stream(2, 1, { deadlineUs: 1000 })],
      { code: 'DEADLINE_EXCEEDED' },
    ],
    [
      'it is cancelled',
      [bindGzip(1), stream(2, 1), data(2, bytesOf(9)), { type: 'CANCEL', id: 2 }],
      { code: 'CANCELLED' },
    ],
    [
      'its op gives none',
      [bindCompress(1, { op: 1, args: [] }), stream(2, 1), data(2, bytesOf(9))],
      { code: 'UNIMPLEMENTED' },
    ],
    [
      'it gives more than its binding allows',
      [
        bindCompress(1, { outputBytesMax: 100 }),
        stream(2, 1),
        data(2, randomBytes(1000)),
        data(2, bytesOf(0), true),
      ],
      { code: 'RESOURCE_EXHAUSTED' },
    ],
    [
      'its binding failed',
      [bindCompress(1, { op: 999 }), stream(2, 1)],
      { code: 'UNIMPLEMENTED', cause: 1 },
    ],
  ])('ends when %s', async (_when, frames, error) => {
    const peer = await at(hello, ...frames);
    expect(await peer.answerOf(2)).toMatchObject({ type: 'ERROR', ...error });
    peer.send({ type: 'DESCRIBE', id: 3, watch: false });
    expect(await peer.answerOf(3)).toMatchObject({ type: 'DONE' });
    peer.close();
  });

  it.each<[string, Frame[], number]>([
    [
      'bytes after its END',
      [stream(2, 1), data(2, bytesOf(1), true), data(2, bytesOf(1))],
      WireErrorId.DATA_UNEXPECTED,
    ],
    [
      'END of a call',
      [
        callOf(2, 1, bytesOf(0), {
          inputs: [
            { source: 'FOLLOWS', slot: 0, dtype: 'UINT8', shape: [99], name: '', bytes: 99 },
          ],
        }),
        data(2, bytesOf(9), true),
      ],
      WireErrorId.WRONG_STATE,
    ],
  ])('is cut off with its connection after %s', async (_what, frames, wireError) => {
    const peer = await at(hello, bindGzip(1), ...frames);
    expect((await peer.untilClosed()).at(-1)).toMatchObject({ type: 'GOAWAY', wireError });
  });

  it('refuses one too many, and takes one when another has ended', async () => {
    const streams = Array.from({ length: 256 }, (_, i) => stream(i + 2, 1));
    const peer = await at(hello, bindGzip(1), ...streams, stream(300, 1));
    expect(await peer.answerOf(300)).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true });
    peer.send({ type: 'CANCEL', id: 2 });
    await peer.answerOf(2);
    peer.send(stream(301, 1), data(301, bytesOf(9), true));
    expect(await peer.answerOf(301)).toMatchObject({ type: 'RESULT' });
    peer.close();
  });

  it('fails with UNAVAILABLE when the server is killed', async () => {
    const dying = await serveUnix('dying.sock');
    const client = await connect(dying.endpoint);
    const codec = client.compressStream({ codec: 'lz4' });
    const failed = new Promise((resolve) => codec.once('error', resolve));
    codec.write(randomBytes(16 * MiB));
    await once(codec, 'data');
    dying.process.kill('SIGKILL');
    expect(await failed).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    await client.close();
  });
});
