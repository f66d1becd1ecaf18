import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { limitsWith, Runtime } from '@axle/core/internal';
import { loadServeSettings, Server } from '@axle/remoting';
import { connect, type Client } from 'axle';
import { describe, expect, it, vi } from 'vitest';

import { SimulatedBackend } from '../bench/pool/simulated-backend.mjs';
import { axlePath, bytesOf, folder, serve, type RunningServer } from './serve.js';
import { temporaryStore } from './temporary-store.js';
import { afterTest } from './tenants-server.js';

const waitMs = 30_000;
const run = promisify(execFile);

async function open(target: string): Promise<Client> {
  const client = await connect(target);
  afterTest(() => client.close());
  return client;
}

interface Configured {
  readonly server: RunningServer;
  /** Changes the settings while the server runs. */
  readonly write: (tenants: object, more?: object) => void;
  readonly client: (tenant: string) => Promise<Client>;
  readonly pathOf: (tenant: string) => string;
}

/** `axle serve` with a socket for each tenant. */
async function serveConfigured(
  name: string,
  tenants: object,
  more: object = {},
): Promise<Configured> {
  const config = join(folder, `${name}.json`);
  const pathOf = (tenant: string) => join(folder, `${name}-${tenant}.sock`);
  const listen = ['alice', 'bob'].map((tenant) => `unix:${pathOf(tenant)},tenant=${tenant}`);
  const write = (settings: object, others: object = {}) => {
    writeFileSync(config, JSON.stringify({ listen, ...more, ...others, tenants: settings }));
  };
  write(tenants);
  const server = await serve('--config', config);
  return { server, write, pathOf, client: (tenant) => open(`axle+unix:${pathOf(tenant)}`) };
}

async function stop({ process: server }: RunningServer): Promise<void> {
  server.kill('SIGTERM');
  await once(server, 'exit');
}

function linesOf(path: string): Record<string, unknown>[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('a time slice', () => {
  it('holds on the device in its host, says when a deadline could be met, and may change', async () => {
    const slice = { limit: 0.05, windowMs: 200 };
    const { server, write, client } = await serveConfigured('slices', { alice: { slice } });
    const alice = await client('alice');
    const { devices } = await alice.devices();
    const parallel = devices.find(({ id }) => id.includes('cpu'))?.parallel ?? 1;
    const input = bytesOf(400_000);
    const call = (deadlineMs?: number) =>
      alice.compress(input, { codec: 'gzip', level: 9, ...(deadlineMs && { deadlineMs }) });
    const startedAt = performance.now();
    const results = await Promise.all(Array.from({ length: 12 }, () => call()));
    const elapsedMs = performance.now() - startedAt;
    const usedMs = results.reduce((sum, { timingMs }) => sum + timingMs.compute, 0);
    const largestMs = Math.max(...results.map(({ timingMs }) => timingMs.compute));
    const mostMs = (elapsedMs + 2 * slice.windowMs) * slice.limit * parallel + parallel * largestMs;
    expect(usedMs).toBeLessThanOrEqual(mostMs);
    // Its window is used up by those before, unless the machine paused meanwhile.
    const refusal = async () => {
      const before = Array.from({ length: 4 }, () => call());
      const [late] = await Promise.allSettled([call(50), ...before]);
      expect(late).toMatchObject({
        reason: { code: 'DEADLINE_EXCEEDED', earliestMs: expect.any(Number) as number },
      });
    };
    await vi.waitFor(refusal, { timeout: waitMs });
    write({ alice: {} });
    server.process.kill('SIGHUP');
    await vi.waitUntil(
      async () => {
        const begunAt = performance.now();
        const again = await Promise.all([call(), call(), call(), call()]);
        const ms = again.reduce((sum, { timingMs }) => sum + timingMs.compute, 0);
        return ms / (performance.now() - begunAt) > 3 * slice.limit * parallel;
      },
      { timeout: waitMs },
    );
  });
});

describe('rates, usage and audit', () => {
  it('refuse, count and tell, over a restart and a change of settings', async () => {
    const [usageLog, auditLog] = [join(folder, 'usage.jsonl'), join(folder, 'audit.jsonl')];
    const rates = { callsPerSecond: 0.001, callsBurst: 3 };
    const records = { usageLog, auditLog };
    const first = await serveConfigured('records', { bob: { rates } }, records);
    const alice = await first.client('alice');
    const bob = await first.client('bob');
    const input = bytesOf(100_000);
    for (let i = 0; i < 5; i++) await alice.compress(input);
    for (let i = 0; i < 3; i++) await bob.compress(input);
    await expect(bob.compress(input)).rejects.toMatchObject({
      ...{ code: 'RESOURCE_EXHAUSTED', retryable: true },
      retryAfterMs: expect.closeTo(1_000_000, -5) as number,
    });
    first.write({ bob: { weight: 2 } });
    first.server.process.kill('SIGHUP');
    await vi.waitFor(() => bob.compress(input), { timeout: waitMs });
    await stop(first.server);
    const second = await serveConfigured('records', {}, records);
    await (await second.client('alice')).compress(input);
    await stop(second.server);

    const { stdout } = await run(process.execPath, [
      axlePath,
      'usage',
      usageLog,
      '--by',
      'tenant,model',
      '--json',
    ]);
    const used = JSON.parse(stdout) as { tenant: string; tasks: number; deviceSeconds: number }[];
    expect(used.sort((a, b) => a.tenant.localeCompare(b.tenant))).toEqual([
      {
        tenant: 'alice',
        model: '[compress]',
        tasks: 6,
        deviceSeconds: expect.any(Number) as number,
      },
      { tenant: 'bob', model: '[compress]', tasks: 4, deviceSeconds: expect.any(Number) as number },
    ]);
    for (const { deviceSeconds } of used) expect(deviceSeconds).toBeGreaterThan(0);
    const later = await run(process.execPath, [
      axlePath,
      'usage',
      usageLog,
      '--until',
      '2020-01-01',
      '--json',
    ]);
    expect(JSON.parse(later.stdout)).toEqual([]);

    const events = linesOf(auditLog);
    expect(events.filter(({ event }) => event === 'started')).toHaveLength(2);
    expect(events.filter(({ event }) => event === 'stopped')).toHaveLength(2);
    for (const tenant of ['alice', 'bob']) {
      expect(events).toContainEqual(expect.objectContaining({ event: 'connected', tenant }));
    }
    expect(events).toContainEqual(
      expect.objectContaining({
        event: 'calls refused',
        tenant: 'bob',
        code: 'RESOURCE_EXHAUSTED',
      }),
    );
    expect(events).toContainEqual(
      expect.objectContaining({
        event: 'tenant changed',
        tenant: 'bob',
        changed: expect.objectContaining({ weight: [1, 2] }) as object,
      }),
    );
  });

  it('tell of tokens that come, are revoked and go, and of models, without a secret', async () => {
    const auditLog = join(folder, 'tokens-audit.jsonl');
    const tokens = join(folder, 'tokens');
    const cli = async (...args: readonly string[]) =>
      (await run(process.execPath, [axlePath, ...args])).stdout.trim();
    const made = async (tenant: string) =>
      JSON.parse(
        await cli('token', 'create', '--tenant', tenant, '--tokens', tokens, '--json'),
      ) as { readonly id: string; readonly token: string };
    const old = await made('alice');
    const { server, client, pathOf } = await serveConfigured('tokens', {}, { tokens, auditLog });
    const added = await made('carol');
    await cli('token', 'revoke', old.id, '--tokens', tokens);
    server.process.kill('SIGHUP');
    const carol = `axle+unix:${pathOf('alice')}`;
    const asCarol = await vi.waitFor(() => connect(carol, { token: added.token }), {
      timeout: waitMs,
    });
    await asCarol.close();
    // The server may have read the file between the two changes, and reads it again.
    const refusal = async () => {
      const asOld = connect(carol, { token: old.token });
      const error: unknown = await asOld.then(
        (letIn) => letIn.close(),
        (reason: unknown) => reason,
      );
      expect(error).toMatchObject({ code: 'UNAUTHENTICATED' });
    };
    await vi.waitFor(refusal, { timeout: waitMs });
    await (await client('alice')).close();
    const model = join(import.meta.dirname, '../../axle/models/glyphs');
    const on = ['--on', `axle+unix:${pathOf('alice')}`];
    await cli(...on, 'model', 'push', model, '--name', 'mine');
    await cli(...on, 'model', 'rm', 'mine');
    await stop(server);
    const text = readFileSync(auditLog, 'utf8');
    // A secret may begin with _ itself.
    for (const { token } of [old, added]) {
      expect(text).not.toContain(token.split('_').slice(2).join('_'));
    }
    const told = linesOf(auditLog);
    const expected = [
      { event: 'token created', token: added.id, tenant: 'carol' },
      { event: 'token revoked', token: old.id, tenant: 'alice' },
      { event: 'connected', token: added.id, tenant: 'carol' },
      { event: 'refused', reason: `token ${old.id} is revoked` },
      { event: 'model pushed', tenant: 'alice', model: 'mine' },
      { event: 'model removed', tenant: 'alice', model: 'mine' },
    ];
    for (const event of expected) expect(told).toContainEqual(expect.objectContaining(event));
  });
});

describe('a pool', () => {
  /** A simulated device behind a server, with a socket for each tenant. */
  async function simulated(name: string): Promise<void> {
    const limits = limitsWith({});
    const runtime = await Runtime.start({
      ...{ plugins: [], decodesImages: false, models: [], limits },
      backends: [new SimulatedBackend()],
    });
    const listen = ['wide', 'narrow'].map(
      (tenant) => `unix:${join(folder, `${name}-${tenant}.sock`)},tenant=${tenant}`,
    );
    const settings = await loadServeSettings({ listen });
    const server = await Server.start({
      ...{ runtime, listen: settings.listen, limits, trust: settings.trust, tls: undefined },
      store: await temporaryStore(),
      log: () => undefined,
    });
    afterTest(async () => {
      await server.close(0);
      await runtime.close();
    });
  }

  it('shares over all servers: who has one for itself gets less of the other', async () => {
    await Promise.all([simulated('sim1'), simulated('sim2')]);
    const of = (tenant: string, ...names: readonly string[]) =>
      open(
        `axle+pool:?${names.map((name) => `server=axle+unix:${join(folder, `${name}-${tenant}.sock`)}`).join('&')}`,
      );
    const wide = await of('wide', 'sim1', 'sim2');
    const narrow = await of('narrow', 'sim2');
    const onNarrow = new Map<Client, number>();
    const startedAt = performance.now();
    const caller = async (client: Client) => {
      for (let now = 0; now < 4000; now = performance.now() - startedAt) {
        const work = { bytes: Buffer.from('x') };
        const { steps } = await client.run('sim.axle/work', work, { args: { ms: 10 } });
        // Those that came before anything was known are over by then.
        if (now < 1500 || steps[0]?.device.startsWith('sim2') !== true) continue;
        onNarrow.set(client, (onNarrow.get(client) ?? 0) + 1);
      }
    };
    await Promise.all(
      // So many that it has some for both, however it chooses.
      [wide, wide, wide, wide, narrow].flatMap((client) =>
        Array.from({ length: 16 }, () => caller(client)),
      ),
    );
    const [its = 0, others = 0] = [onNarrow.get(narrow), onNarrow.get(wide)];
    // Where servers go by what they know themselves, both have half of it.
    expect(others / (its + others)).toBeLessThan(0.25);
  });
});
