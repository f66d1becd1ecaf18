import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

import { connect, type Client, type Tensor } from 'axle';
import {
  decodeFrame,
  FrameSplitter,
  FrameWriter,
  WireErrorId,
  type BindFrame,
  type CallFrame,
  type HelloFrame,
} from '@axle/remoting';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { builtPlugin } from './plugins.js';

const axlePath = fileURLToPath(new URL('../../cli/bin/axle.js', import.meta.url));

interface RunningServer {
  readonly process: ChildProcess;
  readonly endpoint: string;
}

const folder = mkdtempSync(join(tmpdir(), 'axle-remote-'));
const servers: ChildProcess[] = [];

afterAll(() => {
  for (const server of servers) server.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** `axle serve`, as soon as it listens. */
async function serve(...args: readonly string[]): Promise<RunningServer> {
  const server = spawn(process.execPath, [axlePath, 'serve', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  servers.push(server);
  const [line] = (await once(createInterface(server.stdout), 'line')) as [string];
  return { process: server, endpoint: line.replace('listening on ', '') };
}

function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);
}

const hello: HelloFrame = {
  type: 'HELLO',
  id: 0,
  version: 1,
  versionMin: 1,
  versionMax: 1,
  credential: 'NONE',
  features: 0,
  nonce: new Uint8Array(16),
  payloadMax: 65536,
  streamWindow: 1 << 20,
  connectionWindow: 1 << 22,
  tenant: '',
  token: new Uint8Array(0),
  agent: 'a test',
};
const bindCompress: Omit<BindFrame, 'id'> = {
  type: 'BIND',
  strict: false,
  names: false,
  labels: false,
  steps: false,
  op: 6,
  opVersion: 1,
  first: 0,
  last: 0,
  opName: '',
  device: '',
  model: 0,
  outputBytesMax: 0,
  args: [
    { name: 'codec', type: 'INT', value: 1 },
    { name: 'level', type: 'INT', value: 19 },
  ],
  inputNames: [],
};

function callOf(binding: number, data: Uint8Array): Omit<CallFrame, 'id'> {
  return {
    type: 'CALL',
    keep: false,
    omit: false,
    replay: false,
    binding,
    deadlineUs: 0,
    priority: 0,
    place: undefined,
    trace: undefined,
    inputs: [
      { source: 'INLINE', slot: 0, dtype: 'UINT8', shape: [data.byteLength], name: '', data },
    ],
  };
}

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
    const socket = connectSocket(join(folder, 'a.sock'));
    const writer = new FrameWriter();
    writer.write(hello);
    writer.write({ ...bindCompress, id: 1 });
    writer.write({ ...callOf(1, bytesOf(30_000)), id: 2 });
    writer.write({ type: 'RELEASE', id: 99 });
    for (const part of writer.take()) socket.write(part);
    const frames: string[] = [];
    const splitter = new FrameSplitter('server');
    socket.on('data', (chunk: Buffer) => {
      splitter.push(chunk, (raw) => {
        const frame = decodeFrame(raw);
        frames.push(frame.type === 'GOAWAY' ? `GOAWAY ${frame.wireError}` : frame.type);
      });
    });
    await once(socket, 'close');
    expect(frames.at(-1)).toBe(`GOAWAY ${WireErrorId.HANDLE_UNKNOWN}`);
    expect((await axle.compress(bytesOf(10))).device).toBe('remote/cpu-fallback:0');
  });

  it('refuses more inputs on their way than it has room for, and fails no other call', async () => {
    const socket = connectSocket(join(folder, 'a.sock'));
    const writer = new FrameWriter();
    writer.write(hello);
    writer.write({ ...bindCompress, id: 1 });
    const bytes = 600 * 1024 * 1024;
    const announced = {
      source: 'FOLLOWS',
      slot: 0,
      dtype: 'UINT8',
      shape: [bytes],
      name: '',
      bytes,
    };
    const call = callOf(1, new Uint8Array(0));
    writer.write({ ...call, inputs: [announced as never], id: 2 });
    writer.write({ ...call, inputs: [announced as never], id: 3 });
    writer.write({ ...callOf(1, bytesOf(100)), id: 4 });
    for (const part of writer.take()) socket.write(part);
    const splitter = new FrameSplitter('server');
    const answers = new Promise<string[]>((resolve) => {
      const seen: string[] = [];
      socket.on('data', (chunk: Buffer) => {
        splitter.push(chunk, (raw) => {
          const frame = decodeFrame(raw);
          if (frame.type === 'ERROR') seen.push(`${frame.code} ${frame.id}`);
          if (frame.type === 'RESULT') seen.push(`OK ${frame.id}`);
          if (seen.length === 2) resolve(seen);
        });
      });
    });
    expect(await answers).toEqual(['RESOURCE_EXHAUSTED 3', 'OK 4']);
    socket.destroy();
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
    const client = await connect(stopping.endpoint);
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

  it('fails calls with UNAVAILABLE when it is killed', async () => {
    const dying = await serve('--listen', `unix:${join(folder, 'd.sock')}`);
    const client = await connect(dying.endpoint);
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
