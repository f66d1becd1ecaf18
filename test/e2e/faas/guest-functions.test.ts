import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { shippedModels } from 'axle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildGuest, buildGuestFunction } from '../../../scripts/guests.mjs';
import { guestKernelPackage } from '../../../scripts/setup/guest-kernel.mjs';
import { isOnPath } from '../../../scripts/setup/system-packages.mjs';
import { axlePath, bytesOf } from '../serve.js';
import { GateClient, type Answer } from './gate-client.js';
import { startFaas, type RunningFrontEnd } from './start-faas.js';

const lack = !isOnPath('qemu-system-x86_64')
  ? 'qemu-system-x86_64 is not installed'
  : guestKernelPackage() === undefined
    ? 'the kernel of Linux guests is not here'
    : undefined;
/** An emulated processor beside whatever else runs here. */
const timeout = 110_000;
/** Of what nobody else tells of. */
const soon = { timeout: 60_000, interval: 20 };

const place = mkdtempSync(join(tmpdir(), 'axle-guests-e2e-'));
const state = join(place, 'state');
let running: RunningFrontEnd;
let gate: GateClient;

async function axle(...args: readonly string[]) {
  const child = spawn(process.execPath, [axlePath, 'function', ...args], {
    env: {
      ...process.env,
      AXLE_GATEWAY: running.url,
      AXLE_GATEWAY_PASSWORD_FILE: join(state, 'password'),
    },
  });
  const texts = Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = (await once(child, 'close')) as [number | null];
  const [stdout, stderr] = await texts;
  return { code, stdout, stderr };
}

/** Deploys the function that does what its callers say. */
async function deployBad(name: string, manifest: object = {}, ...args: readonly string[]) {
  const folder = join(place, name);
  await mkdir(folder, { recursive: true });
  const fields = { name, runtime: 'unikernel', image: 'bad.elf', memoryMiB: 64, ...manifest };
  await writeFile(join(folder, 'axle-function.json'), JSON.stringify(fields));
  await cp(buildGuest('bad_function'), join(folder, 'bad.elf'));
  expect(await axle('push', folder)).toMatchObject({ code: 0 });
  // Some never start.
  expect(await axle('deploy', name, '--no-wait', ...args)).toMatchObject({ code: 0 });
}

function call(name: string, body: string | Uint8Array, path = ''): Promise<Answer> {
  return gate.ask('POST', `/function/${name}${path}`, { body });
}

async function logOf(name: string): Promise<string> {
  return (await axle('logs', name)).stdout;
}

/** Machines of this front end. */
function machines(image: string): number {
  return readdirSync('/proc').filter((pid) => {
    const words = /^\d+$/.test(pid) ? commandLineOf(pid) : [];
    const kernel = words[words.indexOf('-kernel') + 1] ?? '';
    return (
      words[0]?.includes('qemu') === true && kernel.startsWith(state) && kernel.includes(image)
    );
  }).length;
}

function commandLineOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return []; // It ended meanwhile.
  }
}

describe.skipIf(lack !== undefined)(`functions that are guests${lack ? ` (${lack})` : ''}`, () => {
  beforeAll(async () => {
    running = await startFaas(['--metrics', 'none', '--state', state], {
      environment: { TMPDIR: place },
    });
    const password = readFileSync(join(state, 'password'), 'utf8').trim();
    const authorization = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;
    gate = new GateClient(() => running.url, authorization);
  }, timeout);
  afterAll(() => {
    running.process.kill('SIGKILL');
    rmSync(place, { recursive: true, force: true });
  });

  it.each(['classify-unikernel', 'classify-microvm'] as const)(
    '%s is pushed, deployed and called: an image in, its label out',
    async (name) => {
      const pushed = await axle('push', buildGuestFunction(name));
      expect(pushed).toMatchObject({ code: 0, stdout: `${name}:latest\n` });
      expect(await axle('deploy', name)).toMatchObject({ code: 0 });
      for (const label of ['A', 'K']) {
        const image = readFileSync(join(shippedModels, 'samples', `${label}.png`));
        const answer = await call(name, image);
        expect(answer).toMatchObject({ status: 200, text: `${label}\n` });
        expect(answer.headers).toMatchObject({ 'content-type': 'text/plain' });
      }
      const wrong = await call(name, 'no image');
      expect(wrong).toMatchObject({ status: 500, headers: { 'axle-code': 'INVALID_ARGUMENT' } });
      // What it prints is its log; what it did at the pool, it did as the function.
      expect(await logOf(name)).toMatch(/ axle: up\n[^]* cannot classify: these bytes/);
    },
    timeout,
  );

  it(
    'start with a first call, go when they are idle, and come back',
    async () => {
      const labels = ['com.openfaas.scale.zero=true', 'com.openfaas.scale.zero-duration=1s'];
      await deployBad('rests', {}, ...labels.flatMap((label) => ['--label', label]));
      expect(await call('rests', 'once')).toMatchObject({ status: 200, text: 'once' });
      await expect.poll(() => machines('bad.elf'), soon).toBe(0);
      expect(await call('rests', 'again')).toMatchObject({ status: 200, text: 'again' });
    },
    timeout,
  );

  it(
    'get bodies that are longer than a window, and give an answer as long as one',
    async () => {
      await deployBad('bodies');
      const { text: length } = await call('bodies', new Uint8Array(2 * 1024 ** 2 + 5));
      expect(Buffer.from(length).readUInt32LE(0)).toBe(2 * 1024 ** 2 + 5);
      const { headers } = await call('bodies', 'long');
      expect(headers['transfer-encoding'] ?? headers['content-length']).toBeDefined();
      expect(await call('bodies', '')).toMatchObject({ status: 200, text: '' });
      expect(await call('bodies', 'path', '/of/call')).toMatchObject({
        status: 201,
        text: '/of/call',
        headers: { 'content-type': 'text/x-path' },
      });
      expect(await call('bodies', 'fail')).toMatchObject({
        status: 500,
        text: "NOT_FOUND: a 'reason' \n",
      });
      // Past what the guest takes: it says so, and goes on.
      expect(await call('bodies', new Uint8Array(4 * 1024 ** 2))).toMatchObject({
        status: 500,
        headers: { 'axle-code': 'RESOURCE_EXHAUSTED' },
      });
      expect(await call('bodies', 'well')).toMatchObject({ status: 200, text: 'well' });
      expect((await logOf('bodies')).match(/ axle: up$/gm)).toHaveLength(1);
    },
    timeout,
  );

  it(
    'read and answer in pieces what is longer than their memory, as fast as both ends go',
    async () => {
      await deployBad('streams', {
        environment: { MODE: 'stream' },
        concurrency: 1,
        memoryMiB: 64,
      });
      // Eight windows there and back at once, in 1 MiB of the guest's.
      const long = Buffer.from(bytesOf(8 * 2 ** 20).map((byte) => 32 + (byte % 90)));
      const back = await call('streams', long);
      expect(back).toMatchObject({
        status: 200,
        headers: { 'content-type': 'application/x-stream' },
      });
      expect(Buffer.from(back.text).equals(long)).toBe(true);
      expect(await call('streams', '')).toMatchObject({ status: 200, text: '' });
      const { text: poured } = await call('streams', 'pour');
      expect(poured.length).toBe(64 * 2 ** 20);
      // One that is cut off by the guest, and one that its caller leaves.
      await expect(call('streams', 'stop')).rejects.toThrow();
      const stop = new AbortController();
      const left = await fetch(`${running.url}/function/streams`, {
        method: 'POST',
        body: 'pour',
        signal: stop.signal,
      });
      await left.body?.getReader().read();
      stop.abort();
      await expect.poll(() => logOf('streams'), soon).toContain(' a call was given up');
      expect(await call('streams', 'well')).toMatchObject({ status: 200, text: 'well' });
      expect((await logOf('streams')).match(/ axle: up$/gm)).toHaveLength(1);
    },
    timeout,
  );

  it.each([
    ['dies', 'die', 503, 'UNAVAILABLE: the instance ended: the guest powered off'],
    ['sends-garbage', 'garbage', 500, 'the instance broke its channel: '],
    ['lies', 'lie', 500, 'the instance broke its channel: '],
  ])(
    'are replaced after one that %s',
    async (name, body, status, message) => {
      await deployBad(name);
      const failed = await call(name, body);
      expect([failed.status, failed.text]).toEqual([status, expect.stringContaining(message)]);
      // Until then: 503, since its start is tried again soon.
      await expect
        .poll(() => call(name, 'well'), soon)
        .toMatchObject({ status: 200, text: 'well' });
      expect(await logOf(name)).toMatch(/\(ended: /);
    },
    timeout,
  );

  it(
    'are ended when a call is past its time, and its caller is told',
    async () => {
      await deployBad('hangs', { timeoutMs: 5000 });
      expect(await call('hangs', 'well')).toMatchObject({ status: 200 });
      expect(machines('bad.elf')).toBeGreaterThan(0);
      expect(await call('hangs', 'hang')).toMatchObject({
        status: 504,
        text: expect.stringContaining('5000 ms') as string,
      });
      await expect.poll(() => logOf('hangs'), soon).toContain('(ended: a handler ran on');
      expect(await call('hangs', 'well')).toMatchObject({ status: 200, text: 'well' });
    },
    timeout,
  );

  it(
    'print as much as they like: the rest of a second is counted only',
    async () => {
      await deployBad('floods');
      expect(await call('floods', 'flood')).toMatchObject({ status: 200, text: 'flood' });
      await expect
        .poll(() => logOf('floods'), soon)
        .toMatch(/bytes more were printed and are left out/);
    },
    timeout,
  );

  it.each([
    ['refuses', { environment: { MODE: 'refuse' } }, 'no reason'],
    ['of-another-kind', { runtime: 'microvm' }, "its runtime is 'microvm'"],
    ['has-no-image', { image: 'nowhere.elf' }, 'the image cannot be read'],
  ])(
    'that cannot start say why: %s',
    async (name, manifest, message) => {
      await deployBad(name, manifest, '--no-wait');
      const { status, text: said } = await call(name, '');
      expect([status, said]).toEqual([502, expect.stringContaining(message)]);
    },
    timeout,
  );

  it(
    'end with the front end, however it ends',
    async () => {
      await deployBad('stays');
      expect(await call('stays', 'well')).toMatchObject({ status: 200 });
      expect(machines('bad.elf')).toBeGreaterThan(0);
      running.process.kill('SIGKILL');
      await expect.poll(() => machines(''), soon).toBe(0);
    },
    timeout,
  );
});
