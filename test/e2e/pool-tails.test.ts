import { join } from 'node:path';

import { limitsWith, LocalClient, Runtime, Session } from '@axle/core/internal';
import { PoolBackend, type FarDevice } from '@axle/remoting';
import { connect, type Client, type RunResult } from 'axle';
import { describe, expect, it, vi } from 'vitest';

import { effectServer } from './effect-servers.js';
import { bytesOf, folder, serveUnix } from './serve.js';
import { SlowLink } from './slow-link.js';
import { afterTest } from './tenants-server.js';

const waitMs = 30_000;

function pathOf(name: string): string {
  return join(folder, `${name}.sock`);
}

interface Opened {
  readonly client: Client;
  readonly backend: PoolBackend;
}

/** A client whose pool can be looked into. */
async function openPool(...names: readonly string[]): Promise<Opened> {
  const servers = names.map((name) => new URL(`axle+unix:${pathOf(name)}`));
  const backend = await PoolBackend.connect({ servers, connect: {} });
  const limits = limitsWith({});
  const runtime = await Runtime.start({
    plugins: [],
    decodesImages: false,
    backends: [backend],
    models: [],
    limits,
  });
  const session = new Session(runtime, 'local', 1, limits);
  const client = new LocalClient(session, () => runtime.close());
  afterTest(() => client.close());
  return { client, backend };
}

function reverse(client: Client, device?: string): Promise<RunResult> {
  return client.run('test.axle/reverse', { bytes: Buffer.from('abc') }, { device });
}

function append(client: Client): Promise<RunResult> {
  return client.run('test.axle/append', { bytes: Buffer.from('line') });
}

/** How many of so many calls, a few at a time, each server ran. */
async function share(client: Client, calls: number): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (let i = 0; i < calls; i += 4) {
    const results = await Promise.all([1, 2, 3, 4].map(() => reverse(client)));
    for (const { steps } of results) {
      const server = steps[0]?.device.split('/')[0] ?? '';
      counts.set(server, (counts.get(server) ?? 0) + 1);
    }
  }
  return counts;
}

describe('a call that is late', () => {
  it('is sent to a second server, and the first answer counts, once; the other is cancelled', async () => {
    const held = await effectServer([`unix:${pathOf('late1')}`]);
    await effectServer([`unix:${pathOf('late2')}`]);
    const { client, backend } = await openPool('late1', 'late2');
    await share(client, 200);
    const { hedges, hedgesWon } = backend.counts;
    // On a machine that is busy, calls before may have used up what may be hedged: 200 make room for ten.
    for (let round = 0; round < 10 && backend.counts.hedgesWon === hedgesWon; round++) {
      held.backend.release();
      await share(client, 200);
      held.backend.isHeld = true;
      for (let i = 0; i < 8; i++) {
        const { outputs } = await reverse(client, 'late1');
        expect(Buffer.from(outputs['bytes']?.data as Uint8Array).toString()).toBe('cba');
      }
    }
    expect(backend.counts.hedges).toBeGreaterThan(hedges);
    expect(backend.counts.hedgesWon).toBeGreaterThan(hedgesWon);
    await vi.waitUntil(() => held.backend.waiting.length === 0, { timeout: waitMs });
  });

  it('is never run twice where that would be seen', async () => {
    const first = await effectServer([`unix:${pathOf('effect1')}`]);
    const second = await effectServer([`unix:${pathOf('effect2')}`]);
    const { client, backend } = await openPool('effect1', 'effect2');
    for (let i = 0; i < 100; i++) await append(client);
    first.backend.isHeld = true;
    second.backend.isHeld = true;
    const calls = Array.from({ length: 4 }, () => append(client));
    const waiting = () => first.backend.waiting.length + second.backend.waiting.length;
    await vi.waitUntil(() => waiting() === 4, { timeout: waitMs });
    // Those that may run twice are hedged meanwhile.
    const pure = Array.from({ length: 40 }, () => reverse(client));
    await vi.waitUntil(() => waiting() >= 44, { timeout: waitMs });
    first.backend.release();
    second.backend.release();
    await Promise.all([...calls, ...pure]);
    expect(first.lines.length + second.lines.length).toBe(104);
    expect(backend.counts.moves).toBe(0);
  });
});

describe('a server that is far slower than the others', () => {
  it('gets hardly any calls, and its share again when it is quick again', async () => {
    await effectServer([`unix:${pathOf('behind')}`]);
    const link = await SlowLink.at(pathOf('gray'), pathOf('behind'));
    afterTest(() => link.close());
    await effectServer([`unix:${pathOf('quick1')}`]);
    await effectServer([`unix:${pathOf('quick2')}`]);
    const { client, backend } = await openPool('gray', 'quick1', 'quick2');
    expect((await share(client, 200)).get('gray')).toBeGreaterThan(0);
    link.delayMs = 150;
    await vi.waitUntil(
      async () => {
        await share(client, 40);
        return backend.counts.ejections > 0;
      },
      { timeout: waitMs },
    );
    const counts = await share(client, 400);
    expect(counts.get('gray') ?? 0).toBeLessThanOrEqual(8);
    link.delayMs = 0;
    const gray = backend.pool.members[0]?.devices[0] as FarDevice;
    expect(backend.pool.passedOver(gray)).toMatch(
      /^it (takes \d+ ms where others take|was late and overtaken)/,
    );
    await vi.waitUntil(
      async () => {
        await share(client, 40);
        return backend.pool.passedOver(gray) === undefined;
      },
      { timeout: waitMs },
    );
  });

  it('gives its calls up to others when nothing comes back though it answers pings', async () => {
    const stuck = await effectServer([`unix:${pathOf('stuck1')}`]);
    await effectServer([`unix:${pathOf('stuck2')}`]);
    const { client, backend } = await openPool('stuck1', 'stuck2');
    await share(client, 200);
    stuck.backend.isHeld = true;
    const calls = Array.from({ length: 100 }, () => reverse(client, 'stuck1'));
    const results = await Promise.all(calls);
    for (const { steps } of results) expect(steps[0]?.device).toBe('stuck2/effect:0');
    expect(backend.counts.ejections).toBeGreaterThan(0);
  });
});

describe('a deadline that no server can meet', () => {
  it('is told of at once, with when it could be done', async () => {
    await Promise.all([serveUnix('busy1.sock'), serveUnix('busy2.sock')]);
    const url = `axle+pool:?server=axle+unix:${pathOf('busy1')}&server=axle+unix:${pathOf('busy2')}`;
    const client = await connect(url);
    afterTest(() => client.close());
    const input = bytesOf(100_000);
    const compress = (deadlineMs?: number) =>
      client.compress(input, { codec: 'gzip', level: 9, ...(deadlineMs && { deadlineMs }) });
    for (const device of ['busy1', 'busy2']) {
      for (let i = 0; i < 4; i++) {
        await client.compress(input, { codec: 'gzip', level: 9, device, strict: true });
      }
    }
    const calls = Array.from({ length: 600 }, () => compress());
    const all = Promise.allSettled(calls);
    await Promise.race(calls);
    await expect(compress(150)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringMatching(
        /no server of the pool can do this in the .* busy\d\/cpu-fallback:0 would be first, in/,
      ) as string,
    });
    for (const { status } of await all) expect(status).toBe('fulfilled');
  });
});
