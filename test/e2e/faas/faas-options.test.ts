import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { afterAll, describe, expect, it } from 'vitest';

import { axlePath } from '../serve.js';
import { GateClient } from './gate-client.js';
import { startFaas } from './start-faas.js';

const place = mkdtempSync(join(tmpdir(), 'axle-faas-options-'));
afterAll(() => rmSync(place, { recursive: true, force: true }));

const state = join(place, 'state');
/** Of a command that should end at once and runs on. */
const timeout = 60_000;
const configOf = (fields: object): string => {
  const path = join(place, 'faas.json');
  writeFileSync(path, JSON.stringify(fields));
  return path;
};

describe('axle faas', () => {
  it.each<[string, () => readonly string[], number, string]>([
    ['a pool that is no URL', () => ['--pool', 'nonsense'], 2, '--pool takes none, or a server'],
    [
      'a pool of no scheme that there is',
      () => ['--pool', 'http://a/'],
      2,
      '--pool takes none, or a server',
    ],
    ['instances that there are not', () => ['--instances', 'vm'], 2, 'process, thread'],
    [
      'the same in a file',
      () => ['--config', configOf({ instances: 'vm' })],
      1,
      "'instances' takes process or thread",
    ],
    [
      'tokens that are none',
      () => ['--config', configOf({ poolTokens: { a: 1 } })],
      1,
      "'poolTokens' takes an object",
    ],
    [
      'what it does not know',
      () => ['--config', configOf({ nothing: 1 })],
      1,
      "has 'nothing', which is not known",
    ],
  ])('refuses %s', (_, args, status, message) => {
    const command = [axlePath, 'faas', '--state', state, '--gateway', '127.0.0.1:0', ...args()];
    const ended = spawnSync(process.execPath, command, { encoding: 'utf8', timeout });
    expect({ status: ended.status, stderr: ended.stderr }).toEqual({
      status,
      stderr: expect.stringContaining(message) as string,
    });
  });

  it('runs handlers in threads and programs in processes, and says what others see', async () => {
    const started = await startFaas(
      [
        '--state',
        state,
        '--metrics',
        '0.0.0.0:0',
        '--instances',
        'thread',
        '--pool',
        'axle+unix:/none',
      ],
      { environment: { TMPDIR: place }, stderr: 'pipe' },
    );
    const said = text(started.process.stderr as NodeJS.ReadableStream);
    const password = readFileSync(join(state, 'password'), 'utf8').trim();
    const authorization = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;
    const gate = new GateClient(() => started.url, authorization);
    await gate.deploy(
      'where',
      `import { isMainThread } from 'node:worker_threads';
       export default () => [isMainThread, process.pid].join();`,
    );
    const { pid } = started.process;
    expect((await gate.ask('GET', '/function/where')).text).toBe(`false,${pid}`);
    const manifest = JSON.stringify({ name: 'program', command: ['cat'] });
    await gate.deploy('program', { 'axle-function.json': manifest });
    expect((await gate.ask('POST', '/function/program', { body: 'x' })).text).toBe('x');
    started.process.kill('SIGTERM');
    expect(await once(started.process, 'exit')).toEqual([0, null]);
    expect(await said).toMatch(/:\d+ is no loopback address: who reaches it sees/);
    expect(await said).toContain('all functions use axle+unix:/none as one tenant');
  });

  it('takes no more connections than files may be open, and has some left for functions', async () => {
    const started = await startFaas(['--state', state, '--metrics', 'none', '--pool', 'none'], {
      ...{ environment: { TMPDIR: place }, stderr: 'pipe', before: 'ulimit -n 256;' },
    });
    const said = text(started.process.stderr as NodeJS.ReadableStream);
    const { port } = new URL(started.url);
    const open = new Set<Socket>();
    const sockets = Array.from({ length: 300 }, () => {
      const socket = connect(Number(port), '127.0.0.1');
      open.add(socket);
      return socket.on('error', () => undefined).on('close', () => open.delete(socket));
    });
    await expect.poll(() => open.size, { timeout: 30_000 }).toBeLessThanOrEqual(128);
    // One that is there already is answered, and its function is started.
    const [caller] = open;
    caller?.write('GET /function/where HTTP/1.1\r\nhost: a\r\n\r\n');
    const [answer] = (await once(caller as Socket, 'data')) as [Buffer];
    expect(String(answer)).toMatch(/^HTTP\/1.1 200 /);
    for (const socket of sockets) socket.destroy();
    started.process.kill('SIGTERM');
    expect(await once(started.process, 'exit')).toEqual([0, null]);
    expect(await said).toContain('room for 128 connections at once, and not 16384');
  });

  it('refuses a tag that is none before anything is sent', () => {
    const run = (...args: readonly string[]) =>
      spawnSync(process.execPath, [axlePath, 'function', ...args], {
        cwd: place,
        encoding: 'utf8',
        timeout,
      });
    run('new', 'tagged');
    // No front end is there to be asked.
    const ended = run('push', 'tagged', '--tag', 'a b', '--gateway', 'http://127.0.0.1:1');
    expect(ended).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('"tagged:a b" names no bundle') as string,
    });
  });
});
