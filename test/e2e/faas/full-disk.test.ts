import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { axlePath } from '../serve.js';
import { GateClient } from './gate-client.js';
import { startFaas, type RunningFrontEnd } from './start-faas.js';

const place = mkdtempSync(join(tmpdir(), 'axle-full-disk-'));
const state = join(place, 'state');
const go = join(place, 'go');

const takesNothing = 'the disk of the queue takes nothing now; try again\n';

let running: RunningFrontEnd;
let gate: GateClient;
let receiver: Server;
let callbackUrl: string;
let lines = '';
const told: string[] = [];

const start = async (): Promise<void> => {
  running = await startFaas(
    ['--metrics', 'none', '--pool', 'none', '--grace', '1', '--state', state],
    {
      environment: { TMPDIR: place },
      stderr: 'pipe',
    },
  );
  running.process.stderr?.on('data', (text: Buffer) => (lines += text.toString()));
};

/** What a file may have: past it, writing fails half way, as on a disk that is full. */
function limitFiles(bytes: number | 'unlimited'): void {
  execFileSync('prlimit', [`--fsize=${bytes}:unlimited`, '--pid', String(running.process.pid)]);
}

async function send(id: string, body = 'x'): Promise<number> {
  const headers = { 'x-call-id': id, 'x-callback-url': callbackUrl };
  const { status, ...rest } = await gate.ask('POST', '/async-function/held', { body, headers });
  if (status !== 202)
    expect([status, rest.headers['retry-after'], rest.text]).toEqual([503, '1', takesNothing]);
  return status;
}

beforeAll(async () => {
  receiver = createServer((request, response) => {
    told.push(String(request.headers['x-call-id']));
    response.end();
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  callbackUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  await start();
  const password = readFileSync(join(state, 'password'), 'utf8').trim();
  const authorization = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;
  gate = new GateClient(() => running.url, authorization);
  await gate.deploy(
    'held',
    `import { appendFileSync, existsSync } from 'node:fs';
    import { setTimeout as later } from 'node:timers/promises';
    export default async (event) => {
      appendFileSync(process.env.RUNS, event.headers['x-call-id'] + ' ');
      while (!existsSync(process.env.GO)) await later(5);
      return 'done';
    }`,
    { envVars: { GO: go, RUNS: join(place, 'runs') }, labels: { 'com.openfaas.scale.max': '1' } },
  );
});
afterAll(() => {
  running.process.kill('SIGKILL');
  receiver.close();
  rmSync(place, { recursive: true, force: true });
});

describe('a disk that is full', () => {
  it('costs no call that was accepted, before it or after it, though the front end is killed', async () => {
    expect(await send('before')).toBe(202);
    limitFiles(8192);
    const large = 'x'.repeat(20_000);
    expect(await send('large', large)).toBe(503);
    const accepted = ['before'];
    const sendAll = (ids: readonly string[]) =>
      Promise.all(
        ids.map(async (id, i) => {
          if ((await send(id, i % 4 === 3 ? large : 'x')) === 202) accepted.push(id);
        }),
      );
    const meanwhile = sendAll(Array.from({ length: 40 }, (_, i) => `meanwhile-${i}`));
    limitFiles('unlimited');
    await meanwhile;
    while (!accepted.includes('after')) await sendAll(['after']);
    expect(lines).toMatch(/the queue in \S+ cannot be written: .*; no asynchronous call is/);
    running.process.kill('SIGKILL');
    await once(running.process, 'exit');
    expect(told).toEqual([]);
    writeFileSync(go, '');
    await start();
    await expect.poll(() => told.length, { timeout: 10_000 }).toBe(accepted.length);
    expect([...told].sort()).toEqual(accepted.sort());
    expect(lines).not.toContain('was damaged');
  });

  it('takes nothing, and what was done meanwhile is told once it has room, without a restart', async () => {
    rmSync(go);
    told.length = 0;
    lines = '';
    const runs = () => readFileSync(join(place, 'runs'), 'utf8').split(' ').filter(isOfNow);
    const isOfNow = (id: string): boolean => id.startsWith('now-');
    for (const id of ['now-1', 'now-2', 'now-3']) expect(await send(id)).toBe(202);
    await expect.poll(() => runs().length).toBe(3);
    limitFiles(0);
    writeFileSync(go, '');
    await expect.poll(() => lines).toContain('cannot be written');
    expect(await send('refused')).toBe(503);
    expect((await gate.system('GET', '/axle/v1/dead-letters')).status).toBe(503);
    expect(told).toEqual([]);
    limitFiles('unlimited');
    await expect.poll(() => told.length, { timeout: 20_000 }).toBe(3);
    expect(lines).toMatch(/can be written again, after \d+\.\d s/);
    expect(await send('now-4')).toBe(202);
    await expect.poll(() => [...told].sort()).toEqual(['now-1', 'now-2', 'now-3', 'now-4']);
    expect(runs().sort()).toEqual(['now-1', 'now-2', 'now-3', 'now-4']);
  });

  it('is told to whoever pushes, and to the operator', async () => {
    lines = '';
    limitFiles(8192);
    const text = 'x'.repeat(20_000);
    const sha256 = createHash('sha256').update(text).digest('hex');
    const push = () => gate.putBlob(sha256, text);
    const refused = await push();
    expect([refused.status, refused.headers['axle-code'], refused.text]).toEqual([
      ...[429, 'RESOURCE_EXHAUSTED'],
      'the front end has no room on its disk (EFBIG); its operator is to look\n',
    ]);
    await expect.poll(() => lines).toMatch(/PUT \/axle\/v1\/bundles\/blobs\/\w+ failed: .*EFBIG/);
    limitFiles('unlimited');
    expect((await push()).status).toBe(201);
  });

  it('does not keep the front end from ending', async () => {
    rmSync(go);
    expect(await send('last')).toBe(202);
    limitFiles(0);
    expect(await send('refused')).toBe(503);
    writeFileSync(go, '');
    const ended = once(running.process, 'exit');
    running.process.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  it('is told at a start, and nothing is lost', async () => {
    const args = ['--gateway', '127.0.0.1:0', '--metrics', 'none', '--pool', 'none'];
    const faas = [process.execPath, axlePath, 'faas', ...args, '--state', state];
    const ended = spawnSync('prlimit', ['--fsize=0', ...faas], { encoding: 'utf8' });
    expect([ended.status, ended.stderr]).toEqual([
      1,
      expect.stringMatching(/the queue in \S+ cannot be opened: .*File too large/),
    ]);
    told.length = 0;
    await start();
    await expect.poll(() => told, { timeout: 10_000 }).toEqual(['last']);
  });
});
