import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

import { connect, type Client, type Tensor } from 'axle';
import { WireErrorId, type CallFrame } from '@axle/remoting';
import { beforeAll, describe, expect, it } from 'vitest';

import { builtPlugin } from './plugins.js';
import { bindCompress, callOf, hello, RawPeer } from './raw-peer.js';
import { axlePath, bytesOf, folder, serve, type RunningServer } from './serve.js';

describe('a server on a unix socket', () => {
  let server: RunningServer;
  let axle: Client;

  beforeAll(async () => {
    server = await serve('--listen', `unix:${join(folder, 'a.sock')}`);
    axle = await connect(server.endpoint);
  });

  it('shows its devices, and only them', async () => {
    const { devices } = await axle.devices();
    expect(devices.map(({ id }) => id)).toEqual(['remote/host:0', 'remote/cpu-fallback:0']);
    expect(devices[1]).toMatchObject({
      health: 'OK',
      version: expect.stringMatching(/\d/) as string,
    });
    // Each with what it offers itself.
    expect(devices[0]?.ops).toEqual(['decode']);
  });

  it('lets nobody else open the socket', () => {
    expect(statSync(join(folder, 'a.sock')).mode & 0o777).toBe(0o600);
  });

  it.each([0, 1, 100_000, 3_000_000, 40_000_000])(
    'compresses and reads back %i bytes',
    async (n) => {
      const input = bytesOf(n);
      const { data, device } = await axle.compress(input, { level: 1 });
      expect(device).toBe('remote/cpu-fallback:0');
      const back = await axle.decompress(data);
      expect(Buffer.compare(back.data, input)).toBe(0);
    },
  );

  it('gives what other tools read', async () => {
    const { data } = await axle.compress(Buffer.from('across'), { codec: 'gzip' });
    expect(gunzipSync(data).toString()).toBe('across');
  });

  it('fails a call of its own with the code and words of a device', async () => {
    const damaged = axle.decompress(Buffer.from('not compressed'), { codec: 'zstd' });
    await expect(damaged).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((await axle.compress(Buffer.from('x'))).device).toBe('remote/cpu-fallback:0');
  });

  it('answers many calls at once, each with its own result', async () => {
    const inputs = Array.from({ length: 500 }, (_, i) => bytesOf(i * 37));
    const results = await axle.compress(inputs, { level: 1 });
    const back = await axle.decompress(results.map(({ data }) => data));
    back.forEach(({ data }, i) => {
      expect(Buffer.compare(data, inputs[i] as Uint8Array)).toBe(0);
    });
  });

  it('tells calls apart that differ in nothing but their arguments', async () => {
    const calls = (['zstd', 'gzip', 'lz4', 'gzip'] as const).map((codec) =>
      axle.compress(bytesOf(100), { codec }),
    );
    const heads = (await Promise.all(calls)).map(({ data }) =>
      Buffer.from(data).toString('hex', 0, 2),
    );
    expect(heads).toEqual(['28b5', '1f8b', '0422', '1f8b']);
  });

  it('keeps small calls quick while a large one uploads, and cancels the large one', async () => {
    const abort = new AbortController();
    const large = axle.compress(bytesOf(64 * 1024 * 1024), { signal: abort.signal, level: 19 });
    const ended = expect(large).rejects.toMatchObject({ name: 'AbortError' });
    for (let i = 0; i < 20; i++) await axle.compress(bytesOf(100));
    abort.abort();
    await ended;
    expect((await axle.compress(bytesOf(10))).device).toBe('remote/cpu-fallback:0');
  });

  it.each([
    ['no Axle at all', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['random bytes', Buffer.from(bytesOf(70_000))],
    ['half a header', Buffer.from([1, 2, 3])],
  ])('cuts off a peer that sends %s, and nobody else', async (_what, bytes) => {
    const socket = connectSocket(join(folder, 'a.sock'));
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    socket.end(bytes);
    await once(socket, 'close');
    expect((await axle.compress(bytesOf(10))).device).toBe('remote/cpu-fallback:0');
  });

  it('outlives a client that breaks the rules with calls in flight', async () => {
    const peer = await RawPeer.at(
      join(folder, 'a.sock'),
      hello,
      bindCompress(1),
      callOf(2, 1, bytesOf(30_000)),
      { type: 'RELEASE', id: 99 },
    );
    const frames = await peer.untilClosed();
    expect(frames.at(-1)).toMatchObject({
      type: 'GOAWAY',
      wireError: WireErrorId.HANDLE_UNKNOWN,
    });
    expect((await axle.compress(bytesOf(10))).device).toBe('remote/cpu-fallback:0');
  });

  it('fails what names a failed handle with the first cause, and what names a released one', async () => {
    const peer = await RawPeer.at(
      join(folder, 'a.sock'),
      hello,
      bindCompress(1, { op: 999 }),
      callOf(2, 1, bytesOf(10)),
      bindCompress(3),
      { type: 'RELEASE', id: 3 },
      callOf(4, 3, bytesOf(10)),
    );
    expect(await peer.answerOf(2)).toMatchObject({ code: 'UNIMPLEMENTED', cause: 1 });
    expect(await peer.answerOf(4)).toMatchObject({ code: 'NOT_FOUND', cause: 0 });
    peer.close();
  });

  it('refuses more inputs on their way than it has room for, and fails no other call', async () => {
    const bytes = 600 * 1024 * 1024;
    const announced: CallFrame['inputs'] = [
      { source: 'FOLLOWS', slot: 0, dtype: 'UINT8', shape: [bytes], name: '', bytes },
    ];
    const none = new Uint8Array(0);
    const peer = await RawPeer.at(
      join(folder, 'a.sock'),
      hello,
      bindCompress(1),
      callOf(2, 1, none, { inputs: announced }),
      callOf(3, 1, none, { inputs: announced }),
      callOf(4, 1, bytesOf(100)),
    );
    expect(await peer.answerOf(3)).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(await peer.answerOf(4)).toMatchObject({ type: 'RESULT' });
    peer.close();
  });

  it('refuses a second server on the same socket, and takes over one that nobody listens on', async () => {
    const path = join(folder, 'b.sock');
    const first = await serve('--listen', `unix:${path}`);
    const second = spawn(process.execPath, [axlePath, 'serve', '--listen', `unix:${path}`]);
    const [code] = (await once(second, 'close')) as [number];
    expect(code).toBe(1);
    first.process.kill('SIGKILL');
    await once(first.process, 'close');
    expect(existsSync(path)).toBe(true);
    const third = await serve('--listen', `unix:${path}`);
    const client = await connect(third.endpoint);
    expect((await client.compress(bytesOf(10))).device).toBe('remote/cpu-fallback:0');
    await client.close();
  });

  it('answers what it accepted when it is told to stop, ends with 0, and takes no more', async () => {
    const stopping = await serve('--listen', `unix:${join(folder, 'c.sock')}`);
    const client = await connect(stopping.endpoint, { reconnect: { timeoutMs: 0 } });
    await client.compress(bytesOf(10));
    const input = bytesOf(8_000_000);
    const accepted = client.compress(input, { codec: 'gzip', level: 9 });
    // Answered after the large one was accepted: frames keep their order.
    await client.compress(bytesOf(10));
    stopping.process.kill('SIGTERM');
    const [[code], { data }] = await Promise.all([
      once(stopping.process, 'close') as Promise<[number]>,
      accepted,
    ]);
    expect(code).toBe(0);
    expect(Buffer.compare(gunzipSync(data), input)).toBe(0);
    await expect(client.compress(bytesOf(10))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await client.close();
  });

  it('fails calls with UNAVAILABLE when it is killed and does not come back', async () => {
    const dying = await serve('--listen', `unix:${join(folder, 'd.sock')}`);
    const client = await connect(dying.endpoint, { reconnect: { timeoutMs: 100 } });
    const call = client.compress(bytesOf(8_000_000), { level: 19 });
    const failed = expect(call).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    // Answered after the large one was accepted: frames keep their order.
    await client.compress(bytesOf(10));
    dying.process.kill('SIGKILL');
    await failed;
    await client.close();
  });
});

describe('connecting', () => {
  it('says so where nobody listens', async () => {
    const nowhere = connect(`axle+unix:${join(folder, 'nobody.sock')}`);
    await expect(nowhere).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it.each(['axle+unix:', 'axle+unix://host/path', 'axle://'])('refuses %s', async (url) => {
    await expect(connect(url)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('runs the op of a plugin that the server was started with', async () => {
    const echo = builtPlugin('echo').path;
    const where = join(folder, 'plugin.sock');
    const server = await serve('--listen', `unix:${where}`, '--plugin', `my=${echo}`);
    const axle = await connect(server.endpoint);
    const { outputs, device } = await axle.run('echo.axle/echo', { bytes: bytesOf(64) });
    expect((outputs['bytes'] as Tensor).bytes).toEqual(bytesOf(64));
    expect(device).toBe('remote/echo:0');
    await axle.close();
  });

  it('works over TCP where it was allowed', async () => {
    const server = await serve('--listen', 'tcp:127.0.0.1:0', '--insecure');
    const axle = await connect(server.endpoint);
    const { data } = await axle.compress(bytesOf(100_000));
    expect(Buffer.compare((await axle.decompress(data)).data, bytesOf(100_000))).toBe(0);
    await axle.close();
  });
});
