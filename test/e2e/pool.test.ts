import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';

import { shippedModels, type Client, type CompressResult } from 'axle';
import { describe, expect, it, vi } from 'vitest';

import {
  effectServer,
  kill,
  open,
  poolOf,
  says,
  serveLone,
  socketOf,
  startPool,
} from './pool-kit.js';
import { axlePath, bytesOf, folder, serveUnix, type RunningServer } from './serve.js';

const sample = fileURLToPath(new URL('../../axle/models/samples/A.png', import.meta.url));
const waitMs = 30_000;

/** What of `axle top --json` is looked at. */
interface TopSample {
  readonly servers: readonly unknown[];
  readonly serverDevices: readonly unknown[];
  readonly moves: readonly unknown[];
  readonly poolEventsPerSecond: Readonly<Record<string, number>>;
}

function serverOf({ steps }: CompressResult): string {
  return steps[0]?.device.split('/')[0] ?? '';
}

/** Which server runs a call of that size, after so many that it knows them. */
async function serversUsed(client: Client, calls: number): Promise<Set<string>> {
  const input = bytesOf(10_000);
  const used = new Set<string>();
  for (let i = 0; i < calls; i += 10) {
    const results = await client.compress(Array.from({ length: 10 }, () => input));
    for (const result of results) used.add(serverOf(result));
  }
  return used;
}

describe('a pool of servers', () => {
  it('spreads calls over them and says which ran each; models and streams find their way too', async () => {
    await Promise.all([serveLone('spread1'), serveLone('spread2')]);
    const client = await open(poolOf('spread1', 'spread2'));
    const { devices } = await client.devices();
    expect(devices.map(({ id }) => id)).toContain('pool/cpu-fallback');
    expect(await serversUsed(client, 200)).toEqual(new Set(['spread1', 'spread2']));
    const { results, steps } = await client.classify(readFileSync(sample), { model: 'glyphs' });
    expect(results[0]).toMatchObject({ label: 'A' });
    expect(steps[0]?.device).toMatch(/^spread[12]\//);
    const mine = join(shippedModels, 'glyphs');
    expect((await client.classify(sample, { model: mine })).results[0]).toMatchObject({
      label: 'A',
    });
    const input = bytesOf(3_000_000);
    const stream = Readable.from([input]).pipe(client.compressStream({ codec: 'gzip' }));
    expect(gunzipSync(await buffer(stream)).equals(input)).toBe(true);
  });

  it('goes by what the caller names, a server or one of its devices', async () => {
    await Promise.all([serveLone('named1'), serveLone('named2')]);
    const client = await open(poolOf('named1', 'named2'));
    const input = bytesOf(1000);
    for (const device of ['named2', 'named2/cpu-fallback:0']) {
      for (const strict of [false, true]) {
        const results = await client.compress([input, input, input, input], { device, strict });
        expect(new Set(results.map(serverOf))).toEqual(new Set(['named2']));
      }
    }
    await expect(client.compress(input, { device: 'named3' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('finds a model by its name on the servers that have it, and waits for those that are away', async () => {
    const models = join(folder, 'models');
    mkdirSync(models);
    cpSync(join(shippedModels, 'glyphs'), join(models, 'letters'), { recursive: true });
    const config = join(models, 'letters', 'config.pbtxt');
    writeFileSync(config, readFileSync(config, 'utf8').replace(/glyphs/g, 'letters'));
    const [has] = await Promise.all([serveLone('has', '--models', models), serveLone('lacks')]);
    const client = await open(poolOf('lacks', 'has'));
    const call = () => client.classify(sample, { model: 'letters' });
    for (let i = 0; i < 10; i++) {
      const { results, steps } = await call();
      expect(results[0]).toMatchObject({ label: 'A' });
      expect(steps.every(({ device }) => device.startsWith('has/'))).toBe(true);
    }
    await kill(has);
    const waiting = call();
    await serveLone('has', '--models', models);
    expect((await waiting).results[0]).toMatchObject({ label: 'A' });
  });

  it('answers every call right when servers are killed under load, one after another', async () => {
    const names = ['killed1', 'killed2', 'killed3'];
    const servers = new Map<string, RunningServer>();
    const start = async (name: string) => servers.set(name, await serveUnix(`${name}.sock`));
    await Promise.all(names.map(start));
    const client = await open(poolOf(...names));
    let isOver = false;
    const made: Promise<void>[] = [];
    let answered = 0;
    let moved = 0;
    const caller = async (n: number) => {
      const input = bytesOf(30_000 + n);
      while (!isOver) {
        const result = await client.compress(input, { codec: 'gzip', level: 9 });
        expect(gunzipSync(result.data).equals(input)).toBe(true);
        answered += 1;
        if (result.fallbacks.length > 0) moved += 1;
      }
    };
    for (let n = 0; n < 24; n++) made.push(caller(n));
    const more = async (count: number) => {
      const wanted = answered + count;
      await vi.waitUntil(() => answered >= wanted, { timeout: waitMs });
    };
    await more(100);
    for (const name of names) {
      await kill(servers.get(name) as RunningServer);
      await more(100);
      await start(name);
      await more(100);
    }
    isOver = true;
    await Promise.all(made);
    expect(moved).toBeGreaterThan(0);
  });

  it('takes in a server that comes later, and one that comes back', async () => {
    const first = await serveLone('early');
    const client = await open(poolOf('early', 'late'));
    expect(await serversUsed(client, 20)).toEqual(new Set(['early']));
    await serveLone('late');
    await vi.waitUntil(async () => (await serversUsed(client, 20)).has('late'), {
      timeout: waitMs,
    });
    await kill(first);
    expect(await serversUsed(client, 20)).toEqual(new Set(['late']));
    await serveLone('early');
    await vi.waitUntil(async () => (await serversUsed(client, 20)).has('early'), {
      timeout: waitMs,
    });
  });

  it('goes on without a server that is stopped and says nothing', async () => {
    const [stopped] = await Promise.all([serveLone('stopped1'), serveLone('stopped2')]);
    const client = await open(poolOf('stopped1', 'stopped2'));
    await serversUsed(client, 40);
    stopped.process.kill('SIGSTOP');
    const input = bytesOf(50_000);
    const results = await client.compress(
      Array.from({ length: 40 }, () => input),
      { codec: 'gzip' },
    );
    for (const { data } of results) expect(gunzipSync(data).equals(input)).toBe(true);
    expect(results.map(serverOf)).toContain('stopped2');
    stopped.process.kill('SIGCONT');
  });

  it('empties a server that leaves: what it has, it answers, and nothing fails', async () => {
    const [leaving] = await Promise.all([serveLone('leaving1'), serveLone('leaving2')]);
    const client = await open(poolOf('leaving1', 'leaving2'));
    await serversUsed(client, 40);
    const input = bytesOf(200_000);
    const calls = Array.from({ length: 60 }, () =>
      client.compress(input, { codec: 'gzip', level: 9 }),
    );
    await Promise.race(calls);
    const ended = once(leaving.process, 'exit');
    leaving.process.kill('SIGTERM');
    const results = await Promise.all(calls);
    for (const { data } of results) expect(gunzipSync(data).equals(input)).toBe(true);
    const [code] = (await ended) as [number];
    expect(code).toBe(0);
    expect(await serversUsed(client, 20)).toEqual(new Set(['leaving2']));
  });

  it('says which servers it tried when there is none', async () => {
    const target = poolOf('nobody1', 'nobody2');
    await expect(open(target, { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/nobody1\.sock .*nobody2\.sock/) as string,
    });
    const only = await serveLone('only');
    const client = await open(poolOf('only'), { timeoutMs: 200 });
    await client.compress(bytesOf(100));
    await kill(only);
    await expect(client.compress(bytesOf(100))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('only is lost') as string,
    });
    await serveLone('only');
    await vi.waitFor(() => client.compress(bytesOf(100)), { timeout: waitMs });
  });
});

describe('effects in a pool', () => {
  it('run once, or nobody knows; pure calls of the same server run elsewhere at once', async () => {
    const file = join(folder, 'effects');
    writeFileSync(file, '');
    const first = await effectServer('effects1', file);
    const client = await open(poolOf('effects1', 'effects2'), { timeoutMs: 3000 });
    const held = says(first, (message) => message === 'held');
    first.send('hold');
    await held;
    const allBegun = says(first, (begun) => begun === 20);
    const bytes = (text: string) => ({ bytes: Buffer.from(text) });
    const effects = Array.from({ length: 10 }, (_, i) =>
      client.run('test.axle/append', bytes(`held ${i}`)),
    );
    let isSettled = false;
    const settled = Promise.allSettled(effects).finally(() => {
      isSettled = true;
    });
    const pure = Array.from({ length: 10 }, (_, i) =>
      client.run('test.axle/reverse', bytes(`${i}`)),
    );
    await allBegun;
    await effectServer('effects2', file);
    first.kill('SIGKILL');
    for (const { steps, fallbacks } of await Promise.all(pure)) {
      expect(steps[0]?.device).toBe('effects2/effect:0');
      expect(fallbacks[0]?.devices).toEqual(['effects1/effect:0']);
    }
    // These look for their server for as long as they may.
    expect(isSettled).toBe(false);
    for (const outcome of await settled) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'ABORTED', outcomeUnknown: true, retryable: false },
      });
    }
    await client.run('test.axle/append', bytes('after'));
    expect(readFileSync(file, 'utf8')).toBe('after\n');
  });
});

describe('a call that ends servers', () => {
  it('is given up after three of them, and leaves the fourth alone', async () => {
    const names = ['ended1', 'ended2', 'ended3', 'ended4'];
    const file = join(folder, 'ended');
    writeFileSync(file, '');
    const servers = await Promise.all(names.map((name) => effectServer(name, file)));
    const client = await open(poolOf(...names), { timeoutMs: 2000 });
    for (const server of servers) {
      const held = says(server, (message) => message === 'held');
      server.send('hold');
      await held;
      server.on('message', () => server.kill('SIGKILL'));
    }
    await expect(
      client.run('test.axle/reverse', { bytes: Buffer.from('poison') }),
    ).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.stringContaining('3 servers were lost') as string,
    });
    // Their ends are heard of later than the call's.
    const alive = () => servers.filter(({ signalCode }) => signalCode === null);
    await vi.waitUntil(() => alive().length === 1, { timeout: waitMs });
  });
});

describe('axle pool', () => {
  it('serves many servers as one, and as many of it as one likes are a pool again', async () => {
    const [killed] = await Promise.all([serveLone('behind1'), serveLone('behind2')]);
    const servers = `${socketOf('behind1')},${socketOf('behind2')}`;
    const [first] = await Promise.all([startPool('front1', servers), startPool('front2', servers)]);
    const one = await open(socketOf('front1'));
    const { devices } = await one.devices();
    expect(devices.map(({ id }) => id)).toContain('remote/pool/cpu-fallback');
    // It knows which of a pool's devices runs what.
    expect(await one.classify(sample, { model: 'glyphs' })).toMatchObject({ fallbacks: [] });
    const both = await open(poolOf('front1', 'front2'));
    const input = bytesOf(100_000);
    const calls = (client: Client) =>
      Array.from({ length: 40 }, () => client.compress(input, { codec: 'gzip', level: 9 }));
    const beside = [...calls(one), ...calls(both)];
    await Promise.race(beside);
    await kill(killed);
    for (const { data } of await Promise.all(beside)) {
      expect(gunzipSync(data).equals(input)).toBe(true);
    }
    const over = calls(both);
    await Promise.race(over);
    first.kill('SIGKILL');
    for (const { data } of await Promise.all(over)) {
      expect(gunzipSync(data).equals(input)).toBe(true);
    }
  });

  it('shows its servers, and what became of calls, to Prometheus and axle top', async () => {
    const [lost] = await Promise.all([serveLone('shown1'), serveLone('shown2')]);
    const servers = `${socketOf('shown1')},${socketOf('shown2')}`;
    const metrics = join(folder, 'metrics.sock');
    await startPool('shown', servers, '--metrics', `unix:${metrics}`);
    const client = await open(socketOf('shown'));
    const input = bytesOf(1000);
    const call = () => client.compress(Array.from({ length: 20 }, () => input));
    await call();
    await kill(lost);
    await call();
    const top = async (...args: readonly string[]) => {
      const line = [axlePath, 'top', `http+unix:${metrics}`, '--interval', '0.2', ...args];
      return (await promisify(execFile)(process.execPath, line)).stdout;
    };
    const sample = JSON.parse(await top('--json')) as TopSample;
    expect(sample.servers).toEqual([
      expect.objectContaining({ server: 'shown1', state: 'lost', tasks: 0 }),
      expect.objectContaining({ server: 'shown2', state: 'up' }),
    ]);
    expect(sample.serverDevices).toContainEqual(
      expect.objectContaining({ device: 'shown2/cpu-fallback:0', tasks: 0 }),
    );
    expect(sample.moves).toEqual([expect.objectContaining({ server: 'shown1', reason: 'loss' })]);
    expect(Object.keys(sample.poolEventsPerSecond).sort()).toEqual([
      'ejections',
      'hedges',
      'hedges_won',
      'moves',
      'refusals',
      'replicas',
      'rescues',
    ]);
  });

  it('reads its file of servers again: new ones join, others go when they are empty', async () => {
    await Promise.all([serveLone('listed1'), serveLone('listed2')]);
    const file = join(folder, 'servers');
    writeFileSync(file, `${socketOf('listed1')}\n`);
    const pool = await startPool('listed', file);
    const client = await open(socketOf('listed'));
    const input = bytesOf(1000);
    const used = async () => {
      const results = await client.compress(Array.from({ length: 20 }, () => input));
      return [...new Set(results.map(({ steps }) => steps[0]?.device))];
    };
    expect(await used()).toEqual(['remote/pool/cpu-fallback']);
    const logged = (pattern: RegExp) =>
      new Promise<void>((resolve) => {
        createInterface(pool.stderr as Readable).on('line', (line) => {
          if (pattern.test(line)) resolve();
        });
      });
    const joined = logged(/listed2\.sock is up/);
    writeFileSync(file, `${socketOf('listed1')}\n${socketOf('listed2')}\n`);
    pool.kill('SIGHUP');
    await joined;
    const gone = logged(/listed1\.sock is let go/);
    writeFileSync(file, `${socketOf('listed2')}\n`);
    pool.kill('SIGHUP');
    await gone;
    expect(await used()).toEqual(['remote/pool/cpu-fallback']);
  });
});
