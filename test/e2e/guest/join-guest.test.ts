import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';

import { joinGuest } from '@axle/unikernel-glue';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';

import { build, conformanceSources, machines } from '../../guest/machines.mjs';
import { runProgram } from '../../guest/run-program.js';
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
