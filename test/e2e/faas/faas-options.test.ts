import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
const fileOf = (name: string, content: string): string => {
  const path = join(place, name);
  writeFileSync(path, content);
  return path;
};
const configOf = (fields: object): string => fileOf('faas.json', JSON.stringify(fields));

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
      'tokens that are none in a file of their own',
      () => ['--pool-tokens', fileOf('tokens.json', '["secret"]')],
      1,
      'tokens.json is to hold an object of texts by function',
    ],
    [
      'half of such a file, of which it shows nothing',
      () => ['--pool-tokens', fileOf('tokens.json', '{"a": "secret')],
      1,
      'tokens.json is no JSON\n',
    ],
    [
      'tokens of a pool that is not named',
      () => ['--pool-tokens', fileOf('tokens.json', '{}')],
      2,
      '--pool-tokens and ',
    ],
    [
      'the same in a file, for no pool',
      () => ['--pool', 'none', '--config', configOf({ poolTokens: { a: 'b' } })],
      2,
      'are for the server of --pool',
    ],
    [
      'models that are not there',
      () => ['--models', join(place, 'nowhere')],
      1,
      'nowhere (of --models): no such file or directory',
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

  it.each(['process', 'thread'])(
    'takes a state folder by a path from where it is started (%s)',
    async (kind) => {
      const here = mkdtempSync(join(place, 'here-'));
      const started = await startFaas(
        ['--state', './state', '--metrics', 'none', '--pool', 'none', '--instances', kind],
        { environment: { TMPDIR: place }, before: `cd '${here}';` },
      );
      const password = readFileSync(join(here, 'state', 'password'), 'utf8').trim();
      const authorization = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;
      const gate = new GateClient(() => started.url, authorization);
      await gate.deploy('handled', "export default () => 'handled';");
      expect((await gate.ask('GET', '/function/handled')).text).toBe('handled');
      const files = {
        'axle-function.json': JSON.stringify({ name: 'program', command: ['./run.sh'] }),
        'run.sh': '#!/bin/sh\ncat\n',
      };
      await gate.deploy('program', files);
      expect((await gate.ask('POST', '/function/program', { body: 'x' })).text).toBe('x');
      started.process.kill('SIGTERM');
      expect(await once(started.process, 'exit')).toEqual([0, null]);
    },
  );

  it('gives each function its own token of a pool, and the others that of all', async () => {
    const tokens = fileOf('tokens.json', '{"told": "of its own"}');
    const started = await startFaas(
      [
        '--state',
        join(place, 'tokens'),
        '--metrics',
        'none',
        '--pool',
        'axle+unix:/none',
        '--pool-tokens',
        tokens,
      ],
      { environment: { TMPDIR: place, AXLE_TOKEN: 'of all' }, stderr: 'pipe' },
    );
    const said = text(started.process.stderr as NodeJS.ReadableStream);
    const password = readFileSync(join(place, 'tokens', 'password'), 'utf8').trim();
    const authorization = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;
    const gate = new GateClient(() => started.url, authorization);
    for (const [name, token] of [
      ['told', 'of its own'],
      ['other', 'of all'],
    ] as const) {
      const manifest = JSON.stringify({ name, command: ['printenv', 'AXLE_TOKEN'] });
      await gate.deploy(name, { 'axle-function.json': manifest });
      expect((await gate.ask('POST', `/function/${name}`)).text).toBe(`${token}\n`);
    }
    started.process.kill('SIGTERM');
    expect(await once(started.process, 'exit')).toEqual([0, null]);
    expect(await said).toContain(`others may read or write it: chmod 600 ${tokens}`);
  });

  /** What is left of it in its temporary folder. */
  const left = (): string[] => readdirSync(place).filter((name) => name.startsWith('axle-'));

  it.each(['process', 'thread'])(
    'leaves nothing behind when a second signal ends it (%s)',
    async (kind) => {
      const started = await startFaas(
        ['--state', state, '--metrics', 'none', '--instances', kind],
        { environment: { TMPDIR: place } },
      );
      const password = readFileSync(join(state, 'password'), 'utf8').trim();
      const authorization = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;
      const gate = new GateClient(() => started.url, authorization);
      await gate.deploy(
        'busy',
        `import { writeFileSync } from 'node:fs';
       export default async (event) => {
         writeFileSync('mine', 'x');
         if (event.path !== '/stay') return 'ok';
         console.log('stays');
         return new Promise(() => {});
       }`,
      );
      expect((await gate.ask('GET', '/function/busy')).status).toBe(200);
      expect(left().length).toBeGreaterThanOrEqual(2);
      const stays = gate.ask('GET', '/function/busy/stay').catch(String);
      const lines = () =>
        gate.system('GET', '/system/logs?name=busy').then(({ text: said }) => said);
      await expect.poll(lines).toContain('stays');
      started.process.kill('SIGINT');
      // It has heard the first when it takes no more.
      const isDown = () =>
        gate.ask('GET', '/healthz').then(
          ({ status }) => status,
          () => 0,
        );
      await expect.poll(isDown).not.toBe(200);
      started.process.kill('SIGINT');
      expect(await once(started.process, 'exit')).toEqual([130, null]);
      await stays;
      expect(left()).toEqual([]);
    },
  );

  it('ends cleanly, and never says that it listens, when it is told to before it does', async () => {
    // From the moment on that it hears signals: then it makes its password.
    for (const delays of [0, 1, 2, 3, 4, 5]) {
      const own = join(place, `early-${delays}`);
      const command = [
        axlePath,
        'faas',
        '--state',
        own,
        '--gateway',
        '127.0.0.1:0',
        '--metrics',
        'none',
      ];
      const child = spawn(process.execPath, command, {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, TMPDIR: place },
      });
      const said = text(child.stdout);
      while (!existsSync(join(own, 'password'))) await new Promise(setImmediate);
      await new Promise((resolve) => setTimeout(resolve, delays * 40));
      child.kill('SIGINT');
      expect(await once(child, 'exit')).toEqual([0, null]);
      if (delays === 0) expect(await said).toBe('');
      expect(left()).toEqual([]);
    }
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
