import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';

import { joinGuest, keepJoined, rejoinMs } from '@axle/unikernel-glue';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';

import { build, conformanceSources, machines } from '../../guest/machines.mjs';
import { runProgram } from '../../guest/run-program.js';
import { hello, RawPeer } from '../raw-peer.js';
import { axlePath, folder, serveUnix } from '../serve.js';

// No monitor with vsock runs here. What stands for one is a real unix socket whose other end plays the monitor's part to the
// letter: it reads `CONNECT port\n`, answers, and carries bytes to the guest, which is the C client in a process of its own.

const open: (Server | Socket)[] = [];
let socket = '';

beforeAll(async () => {
  socket = (await serveUnix('join.sock')).endpoint.replace('axle+unix:', '');
});

afterEach(() => {
  for (const each of open.splice(0)) {
    if ('listen' in each) each.close();
    else each.destroy();
  }
});

/** A socket of that name, with each of its connections. */
async function listen(name: string, onConnection: (socket: Socket) => void): Promise<string> {
  const path = join(folder, name);
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    open.push(connection);
    connection.on('error', () => undefined);
    onConnection(connection);
  });
  open.push(server);
  server.listen(path);
  await once(server, 'listening');
  return path;
}

/** What a monitor reads before it answers: all up to the newline. */
async function requestOf(connection: Socket): Promise<string> {
  let request = '';
  while (!request.endsWith('\n')) {
    const [data] = (await once(connection, 'data')) as [Buffer];
    request += data.toString('latin1');
  }
  connection.pause();
  return request;
}

/** A monitor that answers each CONNECT like this, and then leaves the connection alone. */
function monitorThat(answers: (connection: Socket) => void, name: string): Promise<string> {
  return listen(name, (connection) => {
    void requestOf(connection).then(() => {
      answers(connection);
    });
  });
}

const joined = (vsock: string, timeoutMs = 30_000): Promise<void> =>
  joinGuest({ vsock, port: 7471, socket, timeoutMs });

describe('axle guest join', () => {
  it('connects to a guest that listens, which then passes every scenario', async () => {
    const requests: string[] = [];
    // The guest's side: the program connects there when it would accept.
    let accept: (socket: Socket) => void = () => undefined;
    const accepted = new Promise<Socket>((resolve) => {
      accept = resolve;
    });
    const guestPath = await listen('guest', (connection) => {
      accept(connection);
    });
    const vsock = await listen('vsock', (connection) => {
      void requestOf(connection).then(async (request) => {
        requests.push(request);
        const guest = await accepted;
        // A port of the host's side, as Firecracker gives one, and in two pieces.
        connection.write('OK 10737');
        connection.write('41824\n');
        await pipeline(connection, guest, connection).catch(() => undefined);
      });
    });
    const command = [axlePath, 'guest', 'join', `${vsock}:7471`, '--tenant', 'vm1'];
    const child = spawn(process.execPath, command, { env: { ...process.env, TMPDIR: folder } });
    const ended = once(child, 'close');
    const said = Promise.all([text(child.stdout), text(child.stderr)]);
    const program = build(machines[0], 'conformance', conformanceSources);
    const { code, output } = await runProgram([...program, `unix:${guestPath}`]);
    expect(output).toMatch(/^PASS \d+ passed, 0 failed$/m);
    expect(code).toBe(0);
    expect(requests).toEqual(['CONNECT 7471\n']);
    expect(await ended).toEqual([0, null]);
    expect((await said)[0]).toBe(`joined ${vsock}:7471\n`);
  });

  it.each([
    [
      'another word',
      'ERR no such port\n',
      /^the answer to CONNECT was "ERR no such po", and not OK/,
    ],
    ['no port', 'OK\n', /^the answer to CONNECT was "OK\\n", and not OK/],
    ['too many digits', 'OK 99999999999\n', /^the answer to CONNECT was "OK 99999999999", and not/],
    ['a port past 32 bits', 'OK 4294967296\n', /^the answer to CONNECT was/],
    ['no end', 'O'.repeat(100_000), /^the answer to CONNECT was "OOOOOOOOOOOOOO", and not OK/],
    ['nothing, and the end', '', /^no guest takes connections to its port 7471/],
    ['half an answer, and the end', 'OK 1', /^no guest takes connections to its port 7471/],
  ])('takes no answer with %s', async (_, answer, message) => {
    const vsock = await monitorThat((connection) => connection.end(answer), 'bad');
    const error = await joined(vsock).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'GuestError', code: 'UNAVAILABLE' });
    expect((error as Error).message).toMatch(message);
  });

  it('ends when it is told to, before the answer too', async () => {
    const stop = new AbortController();
    const vsock = await monitorThat(() => {
      stop.abort();
    }, 'stopped');
    const ended = joinGuest({ vsock, port: 7471, socket, timeoutMs: 30_000, signal: stop.signal });
    await expect(ended).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('gives a monitor that says nothing no longer than it is told', async () => {
    const vsock = await monitorThat(() => undefined, 'silent');
    await expect(joined(vsock, 50)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('says that there is no such socket, or no such place', async () => {
    const none = join(folder, 'none');
    await expect(joined(none)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const command = [process.execPath, axlePath, 'guest', 'join', none];
    expect(await runProgram(command)).toMatchObject({ code: 2 });
    expect(existsSync(none)).toBe(false);
  });
});

/** A guest behind a monitor: what it says goes where the monitor's connection does. */
function guestsAt(name: string): { next: () => Promise<RawPeer>; listen: () => Promise<string> } {
  const came: RawPeer[] = [];
  const waiting: ((peer: RawPeer) => void)[] = [];
  return {
    next: () =>
      new Promise((resolve) => {
        const peer = came.shift();
        if (peer === undefined) waiting.push(resolve);
        else resolve(peer);
      }),
    listen: () =>
      monitorThat((connection) => {
        connection.write('OK 1\n');
        const peer = new RawPeer(connection);
        connection.resume();
        const take = waiting.shift();
        if (take === undefined) came.push(peer);
        else take(peer);
      }, name),
  };
}

async function tenantOf(peer: RawPeer): Promise<unknown> {
  peer.send(hello);
  return await peer.waitFor(({ type }) => type === 'WELCOME');
}

describe('axle guest join --keep', () => {
  it('waits for guests, joins them again, each for its tenant, and ends when it is told to', async () => {
    const [one, other] = [guestsAt('one'), guestsAt('other')];
    const places = [
      `${await one.listen()}:7471,tenant=vm1`,
      `${join(folder, 'other')}:5,tenant=vm2`,
    ];
    const env = { ...process.env, TMPDIR: folder };
    const child = spawn(process.execPath, [axlePath, 'guest', 'join', '--keep', ...places], {
      env,
    });
    const ended = once(child, 'close');
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const errors = text(child.stderr);
    const line = async (): Promise<string> => (await lines.next()).value as string;

    const first = await one.next();
    expect(await line()).toBe(`joined ${places[0]}`);
    expect(await tenantOf(first)).toMatchObject({ tenant: 'vm1' });
    // The other monitor comes late.
    await other.listen();
    const second = await other.next();
    expect(await line()).toBe(`joined ${places[1]}`);
    expect(await tenantOf(second)).toMatchObject({ tenant: 'vm2' });
    // One guest is killed, and comes back; the other notices nothing.
    first.close();
    expect(await line()).toBe(`left ${places[0]}`);
    const again = await one.next();
    expect(await line()).toBe(`joined ${places[0]}`);
    expect(await tenantOf(again)).toMatchObject({ tenant: 'vm1' });
    second.send({ type: 'PING', id: 7 });
    expect(await second.waitFor(({ type }) => type === 'PONG')).toMatchObject({ id: 7 });

    child.kill('SIGINT');
    expect(await ended).toEqual([130, null]);
    expect(await errors).toContain(`${places[1]}: cannot connect to the vsock device's socket`);
    await Promise.all([again.untilClosed(), second.untilClosed()]);
    expect(readdirSync(folder).filter((name) => name.startsWith('axle-guest-'))).toEqual([]);
  });

  it('waits longer each time, and says each reason once', async () => {
    const answers = ['OK\n', 'OK\n', 'NO\n', 'NO\n', 'NEVER\n', 'OK 1\n'];
    const told: [string, number][] = [];
    const stop = new AbortController();
    const vsock = await monitorThat(
      (connection) => connection.end(answers.shift() ?? ''),
      'refusing',
    );
    const kept = keepJoined({
      ...{ vsock, port: 7471, socket, timeoutMs: 30_000, signal: stop.signal },
      onRefused: ({ message }, inMs) => told.push([message, inMs]),
      onLeft: () => {
        stop.abort();
      },
    });
    await expect(kept).rejects.toMatchObject({ name: 'AbortError' });
    expect(told.map(([message]) => message.slice(0, 32))).toEqual([
      'the answer to CONNECT was "OK\\n"',
      'the answer to CONNECT was "NO\\n"',
      'the answer to CONNECT was "NEVER',
    ]);
    expect(told.map(([, inMs]) => inMs)).toEqual([1, 4, 16].map((times) => times * rejoinMs.first));
    expect(answers).toEqual([]);
  });

  it('joins several without it until the last has left, and tells what became of each', async () => {
    const [one, none] = [guestsAt('alone'), join(folder, 'no-monitor')];
    const places = [`${await one.listen()}:1`, `${none}:2`];
    const ended = runProgram([process.execPath, axlePath, 'guest', 'join', ...places]);
    (await one.next()).close();
    expect(await ended).toMatchObject({ code: 1, output: `joined ${places[0]}\n` });
  });
});
