import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';

import type { PoolBackend } from '@axle/remoting';
import { connect, type Client } from 'axle';
import { describe, expect, it, vi } from 'vitest';

import { effectServer, kill, open, openPool, poolOf, socketOf, startPool } from './pool-kit.js';
import { axlePath, bytesOf, folder, serveUnix } from './serve.js';
import { afterTest } from './tenants-server.js';

const sample = readFileSync(
  fileURLToPath(new URL('../../axle/models/samples/A.png', import.meta.url)),
);
const waitMs = 30_000;

function stateOf(backend: PoolBackend, label: string): string | undefined {
  return backend.servers.find((server) => server.label === label)?.state;
}

/** Calls without a break; the longest time between two answers, milliseconds. */
class Caller {
  longestMs = 0;
  answers = 0;
  /** Where they ran. */
  readonly devices = new Set<string>();
  private isOver = false;
  private readonly calling: Promise<void>;

  constructor(call: () => Promise<string>) {
    this.calling = this.run(call);
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.calling;
  }

  async more(count: number): Promise<void> {
    const wanted = this.answers + count;
    await vi.waitUntil(() => this.answers >= wanted, { timeout: waitMs });
  }

  private async run(call: () => Promise<string>): Promise<void> {
    let before = performance.now();
    while (!this.isOver) {
      this.devices.add(await call());
      const now = performance.now();
      this.longestMs = Math.max(this.longestMs, now - before);
      before = now;
      this.answers += 1;
    }
  }
}

function classifying(client: Client): Caller {
  return new Caller(async () => {
    const { results, steps } = await client.classify(sample, { model: 'glyphs' });
    expect(results[0]).toMatchObject({ label: 'A' });
    return steps[0]?.device ?? '';
  });
}

describe('a server of a pool that is to be emptied', () => {
  it('works on while its models are loaded elsewhere, then gets nothing, and works again when it may', async () => {
    await Promise.all([serveUnix('emptied1.sock'), serveUnix('emptied2.sock')]);
    const { client, backend } = await openPool('emptied1', 'emptied2');
    const caller = classifying(client);
    await caller.more(20);
    // One caller needs one copy of the model.
    const [only = ''] = caller.devices;
    const label = only.split('/')[0] ?? '';
    const other = label === 'emptied1' ? 'emptied2' : 'emptied1';
    expect([...caller.devices].every((device) => device.startsWith(label))).toBe(true);
    const urls = ['emptied1', 'emptied2'].map((name) => new URL(socketOf(name)));
    const before = caller.longestMs;
    caller.longestMs = 0;
    backend.setServers(urls, new Set([socketOf(label)]));
    await vi.waitUntil(() => stateOf(backend, label) === 'drained', { timeout: waitMs });
    caller.devices.clear();
    await caller.more(20);
    expect([...caller.devices].every((device) => device.startsWith(other))).toBe(true);
    const [move] = backend.moves.reports;
    expect(move).toMatchObject({ server: label, reason: 'drain', isOver: true, models: 1 });
    console.log(
      `drain: ${move?.preparedMs.toFixed(0)} ms of loading beside the work; longest time between two answers of one caller ` +
        `${caller.longestMs.toFixed(1)} ms (${before.toFixed(1)} ms before), longest stop of a task ${move?.pauseMs.toFixed(1)} ms`,
    );
    backend.setServers(urls, new Set([socketOf(other)]));
    await vi.waitUntil(() => stateOf(backend, other) === 'drained', { timeout: waitMs });
    caller.devices.clear();
    await caller.more(20);
    await caller.stop();
    expect([...caller.devices].every((device) => device.startsWith(label))).toBe(true);
  });

  it('lets its streams end there, and is empty only then', async () => {
    await Promise.all([serveUnix('streaming1.sock'), serveUnix('streaming2.sock')]);
    const { client, backend } = await openPool('streaming1', 'streaming2');
    const input = bytesOf(9_000_000);
    const stream = client.compressStream({ codec: 'gzip', level: 1 });
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    await new Promise<void>((resolve) => {
      stream.write(input, () => {
        resolve();
      });
    });
    const names = ['streaming1', 'streaming2'];
    const urls = names.map((name) => new URL(socketOf(name)));
    const bound = backend.pool.members.find(({ streams }) => streams > 0);
    const label = bound?.label ?? '';
    expect(names).toContain(label);
    backend.setServers(urls, new Set([socketOf(label)]));
    await vi.waitUntil(() => stateOf(backend, label) === 'draining', { timeout: waitMs });
    await client.compress(input);
    expect(stateOf(backend, label)).toBe('draining');
    stream.end(input);
    await once(stream, 'end');
    expect(gunzipSync(Buffer.concat(chunks)).equals(Buffer.concat([input, input]))).toBe(true);
    await vi.waitUntil(() => stateOf(backend, label) === 'drained', { timeout: waitMs });
  });

  it('takes the streams with it that are open there when it is lost, which say so', async () => {
    const first = await serveUnix('bound1.sock');
    const { client, backend } = await openPool('bound1');
    const stream = client.compressStream({ codec: 'gzip', level: 1 });
    stream.resume();
    const failed = new Promise((resolve) => stream.once('error', resolve));
    await new Promise<void>((resolve) => {
      stream.write(bytesOf(9_000_000), () => {
        resolve();
      });
    });
    await kill(first);
    await vi.waitUntil(() => stateOf(backend, 'bound1') === 'lost', { timeout: waitMs });
    stream.write(bytesOf(9_000_000));
    expect(await failed).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/bound to bound1, which is lost.*open another one/) as string,
    });
  });

  it('is marked in the list of axle pool and of clients', async () => {
    await Promise.all([serveUnix('marked1.sock'), serveUnix('marked2.sock')]);
    const file = join(folder, 'marked');
    const write = (...marks: readonly string[]) => {
      const lines = ['marked1', 'marked2'].map((name, i) => `${socketOf(name)}${marks[i] ?? ''}\n`);
      writeFileSync(file, lines.join(''));
    };
    write();
    const pool = await startPool('marked', file);
    const logged = (pattern: RegExp) =>
      new Promise<string>((resolve) => {
        createInterface(pool.stderr as Readable).on('line', (line) => {
          if (pattern.test(line)) resolve(line);
        });
      });
    const direct = await open(`axle+pool:${file}`);
    const through = await open(socketOf('marked'));
    const input = bytesOf(1000);
    const used = async () => {
      const results = await direct.compress(Array.from({ length: 20 }, () => input));
      return new Set(results.map(({ steps }) => steps[0]?.device.split('/')[0]));
    };
    await vi.waitUntil(async () => (await used()).size === 2, { timeout: waitMs });
    const callers = [
      new Caller(async () => {
        const { data } = await through.compress(input, { codec: 'gzip' });
        expect(gunzipSync(data).equals(input)).toBe(true);
        return '';
      }),
      classifying(through),
    ];
    await Promise.all(callers.map((caller) => caller.more(10)));
    const empty = logged(/marked1\.sock is empty/);
    write(' drain # new memory');
    pool.kill('SIGHUP');
    console.log(`axle pool: ${await empty}`);
    await vi.waitUntil(async () => !(await used()).has('marked1'), { timeout: waitMs });
    await Promise.all(callers.map((caller) => caller.more(10)));
    const up = logged(/marked1\.sock is up/);
    write();
    pool.kill('SIGHUP');
    await up;
    await vi.waitUntil(async () => (await used()).has('marked1'), { timeout: waitMs });
    await Promise.all(callers.map((caller) => caller.stop()));
  });
});

/** `axle pool drain` or `resume`, of a list. */
async function operate(list: string, ...args: readonly string[]): Promise<string> {
  const line = [axlePath, 'pool', ...args, '--list', list];
  return (await promisify(execFile)(process.execPath, line)).stdout;
}

describe('axle pool drain', () => {
  it('empties a server under load, says what moved and how long it stood, and waits for streams', async () => {
    await Promise.all([serveUnix('operated1.sock'), serveUnix('operated2.sock')]);
    const file = join(folder, 'operated');
    const [first, second] = ['operated1', 'operated2'].map(socketOf) as [string, string];
    writeFileSync(file, `# ours\n${first} # old\n${second} drain\n`);
    const metrics = `unix:${join(folder, 'operated-metrics.sock')}`;
    await startPool('operated', file, '--metrics', metrics);
    const watch = ['--watch', `http+${metrics}`, '--json'];
    const client = await open(socketOf('operated'));
    const caller = classifying(client);
    await caller.more(10);
    // There is one server for it.
    const input = bytesOf(9_000_000);
    const stream = client.compressStream({ codec: 'gzip', level: 1 });
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    await new Promise<void>((resolve) => {
      stream.write(input, () => {
        resolve();
      });
    });
    await expect(operate(file, 'drain', first)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/the last server .* that takes work/) as string,
    });
    const resumed = JSON.parse(await operate(file, 'resume', second, ...watch)) as unknown;
    expect(resumed).toMatchObject({ server: second, state: 'resumed', pools: [{ state: 'up' }] });
    expect(readFileSync(file, 'utf8')).toBe(`# ours\n${first} # old\n${second}\n`);
    await expect(operate(file, 'drain', first, ...watch, '--timeout', '2s')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/not empty after 2 s: .* says draining/) as string,
    });
    // What it has by then goes on, to the last byte.
    stream.end(input);
    await once(stream, 'end');
    expect(gunzipSync(Buffer.concat(chunks)).equals(Buffer.concat([input, input]))).toBe(true);
    const drained = JSON.parse(await operate(file, 'drain', first, ...watch)) as unknown;
    expect(drained).toMatchObject({
      server: first,
      state: 'drained',
      pools: [{ state: 'drained', tasks: 0, pauseMs: expect.any(Number) as number }],
    });
    console.log(`axle pool drain: ${JSON.stringify(drained)}`);
    expect(readFileSync(file, 'utf8')).toBe(`# ours\n${first} drain # old\n${second}\n`);
    await caller.more(10);
    await caller.stop();
    await expect(operate(file, 'drain', socketOf('nobody'))).rejects.toMatchObject({ code: 1 });
  });
});

describe('what a pool had not before', () => {
  it('joins: another kind of device, and what a server comes back with', async () => {
    const file = join(folder, 'grown-effects');
    writeFileSync(file, '');
    const first = await effectServer('grown1', file);
    const target = poolOf('grown1', 'grown2');
    const client = await open(target);
    await startPool('grown', target.replace('axle+pool:?server=', '').replace('&server=', ','));
    const ids = async (from: Client) => (await from.devices()).devices.map(({ id }) => id);
    expect(await ids(client)).toEqual(['pool/effect']);
    await expect(client.compress(bytesOf(100))).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    await serveUnix('grown2.sock');
    await vi.waitUntil(async () => (await ids(client)).includes('pool/cpu-fallback'), {
      timeout: waitMs,
    });
    const { steps } = await client.compress(bytesOf(100));
    expect(steps[0]?.device).toBe('grown2/cpu-fallback:0');
    // Whoever comes to the pool now sees it too.
    const late = await vi.waitUntil(
      async () => {
        const comer = await connect(socketOf('grown'));
        if ((await ids(comer)).includes('remote/pool/cpu-fallback')) return comer;
        await comer.close();
        return undefined;
      },
      { timeout: waitMs },
    );
    afterTest(() => late.close());
    // What was there keeps its number.
    expect((await ids(late))[0]).toBe('remote/pool/effect');
    expect((await late.classify(sample, { model: 'glyphs' })).results[0]).toMatchObject({
      label: 'A',
    });
    const { outputs } = await late.run('test.axle/reverse', { bytes: Buffer.from('abc') });
    expect(Buffer.from(outputs['bytes']?.data as Uint8Array).toString()).toBe('cba');
    // Another server in the place of the first one, with what that did not have.
    first.kill('SIGKILL');
    await once(first, 'exit');
    await serveUnix('grown1.sock');
    await vi.waitUntil(
      async () => {
        const results = await client.compress(Array.from({ length: 20 }, () => bytesOf(100)));
        return results.some(({ steps: [step] }) => step?.device === 'grown1/cpu-fallback:0');
      },
      { timeout: waitMs },
    );
  });
});
