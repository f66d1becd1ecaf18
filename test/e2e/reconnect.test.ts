import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { connect, type Client, type RunResult } from 'axle';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { effectServer } from './effect-servers.js';
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
