import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';

import { limitsWith, LocalClient, Runtime, Session, type Client } from '@axle/core/internal';
import { PoolBackend } from '@axle/remoting';
import { describe, expect, it, vi } from 'vitest';

import { bytesOf, folder } from './serve.js';
import { afterTest } from './tenants-server.js';
import { TrustedServer } from './trusted-server.js';

const waitMs = 30_000;
const input = bytesOf(1000);
const disabled = { tenants: { a: { disabled: true } } };

interface Field {
  readonly servers: readonly TrustedServer[];
  readonly log: readonly string[];
  readonly clientOf: (tenant: string) => Client;
}

/** Two servers with settings of their own, and a pool over both whose token may act for anybody. */
async function startField(...configs: readonly object[]): Promise<Field> {
  const own = mkdtempSync(join(folder, 'refusing-'));
  const path = (i: number) => join(own, `gpu${i}.sock`);
  const servers: TrustedServer[] = [];
  let token = '';
  for (const [i, config] of configs.entries()) {
    const settings = { listen: [`unix:${path(i)},tenant=nobody`], tokens: 'tokens.jsonl' };
    const [tokensOf] = servers;
    const server = await TrustedServer.start(
      mkdtempSync(join(own, 'settings-')),
      { ...settings, ...config },
      tokensOf && { tokensOf },
    );
    afterTest(() => server.close());
    if (i === 0) token = await server.addToken('pool', { mayActFor: ['*'] });
    servers.push(server);
  }
  const log: string[] = [];
  const backend = await PoolBackend.connect({
    servers: configs.map((_, i) => new URL(`axle+unix:${path(i)}`)),
    connect: { token },
    actsForTenants: true,
    log: (line) => log.push(line),
  });
  const limits = limitsWith({});
  const runtime = await Runtime.start({
    ...{ plugins: [], decodesImages: false, models: [], limits },
    ...{ backends: [backend], catalogue: backend.catalogue },
  });
  afterTest(() => runtime.close());
  const clientOf = (tenant: string) =>
    new LocalClient(new Session(runtime, tenant, 1, limits), () => Promise.resolve());
  return { servers, log, clientOf };
}

/** Makes so many calls, one after another. @returns the servers that ran them */
async function serversOf(client: Client, calls = 40): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let i = 0; i < calls; i++) {
    const { steps } = await client.compress(input);
    seen.add(steps[0]?.device.split('/')[0] ?? '');
  }
  return seen;
}

describe('a server of a pool that does not let a tenant in', () => {
  it('gets none of its calls, which run where they may, and is told of; it does when it may', async () => {
    const { servers, log, clientOf } = await startField({}, disabled);
    expect(await serversOf(clientOf('a'))).toEqual(new Set(['gpu0']));
    expect(await serversOf(clientOf('b'))).toEqual(new Set(['gpu0', 'gpu1']));
    const told = log.filter((line) => line.includes('does not let a in'));
    expect(told).toEqual([
      expect.stringMatching(/gpu1\.sock does not let a in \(the server does not know these/),
    ]);
    await servers[1]?.configure({ tenants: {} });
    const uses = async () => {
      expect(await serversOf(clientOf('a'), 20)).toContain('gpu1');
    };
    await vi.waitFor(uses, { timeout: waitMs, interval: 250 });
  });

  it('is left by those who were in, without a failed call', async () => {
    const { servers, log, clientOf } = await startField({}, {});
    const a = clientOf('a');
    expect(await serversOf(a)).toEqual(new Set(['gpu0', 'gpu1']));
    const told = vi.waitUntil(() => log.some((line) => line.includes('does not let a in')), {
      timeout: waitMs,
    });
    await servers[1]?.configure(disabled);
    await told;
    // Longer than until it is asked again.
    const endAt = performance.now() + 6000;
    const seen = new Set<string>();
    while (performance.now() < endAt) for (const name of await serversOf(a)) seen.add(name);
    expect(seen).toEqual(new Set(['gpu0']));
  });

  it('is what a tenant hears whom no server lets in, at once', async () => {
    const { clientOf } = await startField(disabled, disabled);
    const a = clientOf('a');
    const began = performance.now();
    for (let i = 0; i < 5; i++) {
      await expect(a.compress(input)).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
        message: expect.stringMatching(
          /gpu0\.sock: the server does not .*gpu1\.sock: the server does not /,
        ) as string,
      });
    }
    expect(performance.now() - began).toBeLessThan(5000);
  });
});
