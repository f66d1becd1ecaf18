import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { connect, type Client, type RunResult } from 'axle';
import { WireErrorId, type Frame } from '@axle/remoting';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { effectServer } from './effect-servers.js';
import { bindCompress, callOf, hello, RawPeer } from './raw-peer.js';
import { Relay } from './relay.js';
import { bytesOf, folder, serveUnix } from './serve.js';

const append = 'test.axle/append';
const reverse = 'test.axle/reverse';

let names = 0;

/** A path for a socket or file that no other test has. */
function path(): string {
  names += 1;
  return join(folder, `reconnect-${names}`);
}

const closing: { close(): Promise<void> }[] = [];

afterEach(async () => {
  vi.useRealTimers();
  for (const each of closing.splice(0).reverse()) await each.close();
});

function closed<T extends { close(): Promise<void> }>(it: T): T {
  closing.push(it);
  return it;
}

function run(client: Client, op: string, line: Uint8Array | string): Promise<RunResult> {
  return client.run(op, { bytes: Buffer.from(line) });
}

function dataOf({ outputs }: RunResult): Buffer {
  return Buffer.from(outputs['bytes']?.data as Uint8Array);
}

async function killableServer(socket: string, file: string): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('effect-server.mjs', import.meta.url));
  const server = fork(script, [`unix:${socket}`, file]);
  await says(server, (message) => message === 'listening');
  closed({ close: () => kill(server) });
  return server;
}

async function kill(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  server.kill('SIGKILL');
  await once(server, 'exit');
}

/** The first thing that a killable server says, from now on, that passes. */
function says(server: ChildProcess, passes: (message: unknown) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const listener = (message: unknown) => {
      if (!passes(message)) return;
      server.off('message', listener);
      resolve();
    };
    server.on('message', listener);
  });
}

/** From when it resolves on, tasks wait on the device. */
async function hold(server: ChildProcess): Promise<void> {
  const held = says(server, (message) => message === 'held');
  server.send('hold');
  await held;
}

describe('a server that is killed and started again', () => {
  it('gives each of a hundred calls in flight its right result', async () => {
    const first = await serveUnix('killed.sock');
    const client = closed(await connect(first.endpoint));
    const inputs = Array.from({ length: 100 }, (_, i) => bytesOf(40_000 + i));
    const calls = inputs.map((input) => client.compress(input, { level: 12 }));
    await Promise.race(calls);
    first.process.kill('SIGKILL');
    await once(first.process, 'close');
    await serveUnix('killed.sock');
    const results = await Promise.all(calls);
    const back = await client.decompress(results.map(({ data }) => data));
    back.forEach(({ data }, i) => {
      expect(Buffer.compare(data, inputs[i] as Uint8Array)).toBe(0);
    });
  });

  it('runs pure calls again, and says of others that nobody knows, never runs them twice', async () => {
    const [socket, file] = [path(), path()];
    writeFileSync(file, '');
    const first = await killableServer(socket, file);
    const client = closed(await connect(`axle+unix:${socket}`));
    await run(client, append, 'before');
    await hold(first);
    const allBegun = says(first, (begun) => begun === 101);
    const pure = Array.from({ length: 50 }, (_, i) => run(client, reverse, `pure ${i}`));
    const effects = Array.from({ length: 50 }, (_, i) => run(client, append, `effect ${i}`));
    const settled = Promise.allSettled(effects);
    await allBegun;
    await kill(first);
    await killableServer(socket, file);
    const results = await Promise.all(pure);
    results.forEach((result, i) => {
      expect(dataOf(result).reverse().toString()).toBe(`pure ${i}`);
    });
    for (const outcome of await settled) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'ABORTED', outcomeUnknown: true, retryable: false },
      });
    }
    await run(client, append, 'after');
    expect(readFileSync(file, 'utf8')).toBe('before\nafter\n');
  });
});

describe('a server that is away for a while', () => {
  it('gets what was called meanwhile, effects too, but for what was aborted or late', async () => {
    const [socket, between] = [path(), path()];
    const { lines } = await effectServer([`unix:${socket}`]);
    const relay = await Relay.at(between, socket);
    const client = closed(await connect(relay.endpoint));
    await run(client, append, 'before');
    await relay.close();
    const late = client.run(append, { bytes: Buffer.from('late') }, { deadlineMs: 30 });
    const abort = new AbortController();
    const { signal } = abort;
    const aborted = client.run(append, { bytes: Buffer.from('aborted') }, { signal });
    const waiting = [run(client, append, 'waited'), run(client, reverse, 'waited')];
    abort.abort();
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect((await client.devices()).devices[0]?.health).toBe('LOST');
    closed(await Relay.at(between, socket));
    await Promise.all(waiting);
    expect(lines).toEqual(['before', 'waited']);
    expect((await client.devices()).devices[0]?.health).toBe('OK');
  });

  it('fails calls when it stays away too long, says which may have run, and is found again later', async () => {
    const [socket, between] = [path(), path()];
    const { backend, lines } = await effectServer([`unix:${socket}`]);
    const relay = await Relay.at(between, socket);
    const client = closed(await connect(relay.endpoint, { reconnect: { timeoutMs: 50 } }));
    await run(client, append, 'before');
    backend.isHeld = true;
    const sent = [run(client, reverse, 'pure'), run(client, append, 'effect')];
    const settled = Promise.allSettled(sent);
    await vi.waitUntil(() => backend.begun === 3);
    await relay.close();
    const [pure, effect] = await settled;
    expect(pure).toMatchObject({ reason: { code: 'UNAVAILABLE', retryable: true } });
    expect(effect).toMatchObject({
      reason: { code: 'ABORTED', retryable: false, outcomeUnknown: true },
    });
    const neverSent = run(client, append, 'never sent');
    await expect(neverSent).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    backend.release();
    closed(await Relay.at(between, socket));
    await run(client, append, 'after');
    expect(lines).toEqual(['before', 'effect', 'after']);
  });
});

describe('a connection that is cut', () => {
  it('loses no call and runs none twice, wherever it is cut, and again while it comes back', async () => {
    const socket = path();
    const { lines, backend } = await effectServer([`unix:${socket}`]);
    const relay = closed(await Relay.at(path(), socket));
    const large = bytesOf(150_000);
    let session = 0;

    /** A binding of each op, small and large calls of both, answered out of order. */
    const work = async (client: Client) => {
      const before = lines.length;
      const mine = [`${session} a`, `${session} b`];
      const results = await Promise.all([
        run(client, append, mine[0] as string),
        run(client, reverse, large),
        run(client, append, mine[1] as string),
        run(client, reverse, 'small'),
        run(client, append, large),
      ]);
      expect(dataOf(results[1]).reverse().equals(large)).toBe(true);
      expect(dataOf(results[3]).toString()).toBe('llams');
      expect(dataOf(results[4]).equals(large)).toBe(true);
      const run_ = lines.slice(before);
      expect(run_).toHaveLength(3);
      expect(run_).toEqual(expect.arrayContaining(mine));
    };

    // How much passes without a cut.
    const whole = await connect(relay.endpoint);
    relay.cutAt();
    await work(whole);
    const { up, down } = relay.passed;
    await whole.close();
    expect(Math.min(up, down)).toBeGreaterThan(300_000);

    // Half of the cuts among the small frames at the start, where most boundaries are.
    const place = (most: number) =>
      fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: most }));
    const cut = fc.oneof(
      fc.record({ direction: fc.constant('up' as const), bytes: place(up) }),
      fc.record({ direction: fc.constant('down' as const), bytes: place(down) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { minLength: 1, maxLength: 3 }), async (cuts) => {
        session += 1;
        const client = await connect(relay.endpoint);
        relay.cutAt(...cuts);
        await work(client);
        relay.cutAt();
        await client.close();
      }),
      { numRuns: 60, seed: 16 },
    );
    expect(backend.begun).toBeGreaterThan(0);
  });
});

describe('a nonce', () => {
  const nonce = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
  const greeting = { ...hello, nonce };
  const bindAppend = bindCompress(1, { op: 0, opName: append, args: [], inputNames: ['bytes'] });
  const appendCall = (id: number) => callOf(id, 1, Buffer.from(`line ${id}`));
  const replayed = (id: number) => callOf(id, 1, Buffer.from(`line ${id}`), { replay: true });
  const isWelcome = ({ type }: Frame) => type === 'WELCOME';

  it('finds answers, waits for what runs, runs what never came, and no other tenant finds them', async () => {
    const [a, b] = [path(), path()];
    const { lines, backend } = await effectServer([`unix:${a},tenant=a`, `unix:${b},tenant=b`]);
    const first = await RawPeer.at(a, greeting, bindAppend, appendCall(2));
    await first.answerOf(2);
    backend.isHeld = true;
    first.send(appendCall(3));
    await vi.waitUntil(() => backend.begun === 2);

    // The same nonce while the first connection is open: the first gives way.
    const second = await RawPeer.at(a, greeting, bindAppend, replayed(2), replayed(3), replayed(4));
    const superseded = await first.untilClosed();
    expect(superseded.at(-1)).toMatchObject({ type: 'GOAWAY', code: 'ABORTED' });
    expect(await second.waitFor(isWelcome)).toMatchObject({ lastHandle: 3, resumeMs: 60_000 });
    expect(await second.answerOf(2)).toMatchObject({ type: 'RESULT' });
    await vi.waitUntil(() => backend.begun === 3);
    backend.release();
    expect(await second.answerOf(3)).toMatchObject({ type: 'RESULT' });
    expect(await second.answerOf(4)).toMatchObject({ type: 'RESULT' });
    expect(lines).toEqual(['line 2', 'line 3', 'line 4']);

    const stranger = await RawPeer.at(b, greeting, bindAppend, replayed(2));
    expect(await stranger.waitFor(isWelcome)).toMatchObject({ lastHandle: 0 });
    expect(await stranger.answerOf(2)).toMatchObject({ code: 'ABORTED', outcomeUnknown: true });

    // Acknowledged answers are gone, and what was never made cannot be acknowledged.
    second.send({ type: 'ACK', id: 4 });
    const third = await RawPeer.at(a, greeting, bindAppend, replayed(4), { type: 'ACK', id: 5 });
    expect(await third.answerOf(4)).toMatchObject({ code: 'ABORTED', outcomeUnknown: true });
    expect((await third.untilClosed()).at(-1)).toMatchObject({
      wireError: WireErrorId.HANDLE_UNKNOWN,
    });
    expect(lines).toHaveLength(3);
    for (const peer of [second, stranger]) peer.close();
  });

  it('is stale once the server has forgotten it, and is nothing if it is all zeros', async () => {
    const socket = path();
    const { lines, server } = await effectServer([`unix:${socket}`], { resumeMs: 0 });
    for (const says of [greeting, hello]) {
      const first = await RawPeer.at(socket, says, bindAppend, appendCall(2));
      await first.answerOf(2);
      first.close();
      await vi.waitUntil(() => server.connections === 0);
      const second = await RawPeer.at(socket, says, bindAppend, replayed(2));
      expect(await second.waitFor(isWelcome)).toMatchObject({ lastHandle: 0, resumeMs: 0 });
      expect(await second.answerOf(2)).toMatchObject({ code: 'ABORTED', outcomeUnknown: true });
      second.close();
      await vi.waitUntil(() => server.connections === 0);
    }
    expect(lines).toEqual(['line 2', 'line 2']);
    expect(server.usage).toMatchObject({ clients: 0, answers: 0 });
  });

  it('cancels pure calls with their connection, and no others', async () => {
    const socket = path();
    const { lines, backend, server } = await effectServer([`unix:${socket}`]);
    backend.isHeld = true;
    const peer = await RawPeer.at(
      socket,
      greeting,
      bindAppend,
      { ...bindAppend, id: 2, opName: reverse },
      callOf(3, 2, Buffer.from('pure')),
      appendCall(4),
    );
    await vi.waitUntil(() => backend.begun === 2);
    peer.close();
    await vi.waitUntil(() => server.connections === 0);
    expect(backend.waiting).toEqual([append]);
    backend.release();
    expect(lines).toEqual(['line 4']);
  });
});

describe('a server that leaves', () => {
  it('answers what it accepted, and its clients go to the alternate that they allow', async () => {
    const [a, b] = [path(), path()];
    const there = await effectServer([`unix:${b}`]);
    const alternate = there.server.endpoints[0] as string;
    const here = await effectServer([`unix:${a}`], { alternate });
    const [url] = here.server.endpoints as [string];
    const moving = closed(await connect(url, { reconnect: { alternates: [alternate] } }));
    const staying = closed(await connect(url, { reconnect: { timeoutMs: 100 } }));
    await run(moving, append, 'before');
    here.backend.isHeld = true;
    const accepted = run(moving, append, 'accepted');
    await vi.waitUntil(() => here.backend.begun === 2);

    const left = here.server.close(10_000);
    await run(moving, append, 'moved');
    expect(there.lines).toEqual(['moved']);
    await expect(run(staying, append, 'stayed')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    here.backend.release();
    expect(dataOf(await accepted).toString()).toBe('accepted');
    await left;
    expect(here.lines).toEqual(['before', 'accepted']);
    expect(there.lines).toEqual(['moved']);
  });

  it('leaves the socket alone that another server has put in the place of its own', async () => {
    const socket = path();
    const { server: first } = await effectServer([`unix:${socket}`]);
    unlinkSync(socket);
    const { server, lines } = await effectServer([`unix:${socket}`]);
    await first.close(0);
    const client = closed(await connect(server.endpoints[0] as string));
    await run(client, append, 'here');
    expect(lines).toEqual(['here']);
    await server.close(0);
    expect(existsSync(socket)).toBe(false);
  });

  it('loses the devices that another server in its place does not have', async () => {
    const socket = path();
    const { server } = await effectServer([`unix:${socket}`]);
    const client = closed(await connect(server.endpoints[0] as string));
    await run(client, append, 'before');
    await server.close(0);
    await effectServer([`unix:${socket}`], { device: 'other:0' });
    const after = run(client, append, 'after');
    await expect(after).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    const { devices } = await client.devices();
    expect(devices).toMatchObject([{ id: 'remote/effect:0', health: 'LOST' }]);
  });
});

describe('the guest of a virtual machine', () => {
  it('reaches a server at the socket that its monitor opens for the port of the vsock', async () => {
    const vsock = path();
    const { lines } = await effectServer([`vsock-unix:${vsock}:7471,tenant=vm1`]);
    const direct = await RawPeer.at(`${vsock}_7471`, { ...hello, features: 1 });
    const welcome = await direct.waitFor(({ type }) => type === 'WELCOME');
    expect(welcome).toMatchObject({ tenant: 'vm1', features: 0 });
    direct.close();
    // As a monitor does: bytes go over, and files do not, so that no memory is shared.
    const monitor = closed(await Relay.at(path(), `${vsock}_7471`));
    const guest = closed(await connect(monitor.endpoint));
    const input = Buffer.alloc(3_000_000, 'guest');
    const { outputs } = await guest.run(reverse, { bytes: input });
    expect(outputs['bytes']?.bytes.byteLength).toBe(input.byteLength);
    await run(guest, append, 'from the guest');
    expect(lines).toEqual(['from the guest']);
  });
});

describe('time', () => {
  it('may jump on the wall by days either way: deadlines and connections do not notice', async () => {
    const socket = path();
    const { backend, lines } = await effectServer([`unix:${socket}`]);
    const relay = closed(await Relay.at(path(), socket));
    const client = closed(await connect(relay.endpoint));
    await run(client, append, 'before');
    const day = 86_400_000;
    for (const jump of [day, -day]) {
      backend.isHeld = true;
      const before = backend.begun;
      const call = client.run(append, { bytes: Buffer.from('x') }, { deadlineMs: 20_000 });
      await vi.waitUntil(() => backend.begun > before);
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + jump });
      relay.cut();
      backend.release();
      expect(dataOf(await call).toString()).toBe('x');
      vi.useRealTimers();
    }
    expect(lines).toEqual(['before', 'x', 'x']);
  });
});
