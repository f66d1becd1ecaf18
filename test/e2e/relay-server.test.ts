import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

import { connectRelays } from '@axle/remoting';
import { shippedModels } from 'axle';
import { describe, expect, it, vi } from 'vitest';

import { bytesOf, folder } from './serve.js';
import { afterTest, serveTenants, type TenantsServer } from './tenants-server.js';
import { TrustedServer } from './trusted-server.js';

const sample = fileURLToPath(new URL('../../axle/models/samples/A.png', import.meta.url));

interface Relayed {
  /** Another one in its place, as the first was. */
  readonly again: () => Promise<TrustedServer>;
  readonly server: TrustedServer;
  readonly relay: TenantsServer;
  /** Of the relay about its upstream. */
  readonly log: string[];
}

/** A server, and a relay to it whose token may act for a and b. */
async function relayed(config = {}): Promise<Relayed> {
  const own = mkdtempSync(join(folder, 'upstream-'));
  const path = join(own, 'gpu1.sock');
  const start = async (tokensOf?: TrustedServer) => {
    const settings = { listen: [`unix:${path},tenant=nobody`], tokens: 'tokens.jsonl', ...config };
    const started = await TrustedServer.start(own, settings, tokensOf && { tokensOf });
    afterTest(() => started.close());
    return started;
  };
  const server = await start();
  const token = await server.addToken('relay', { mayActFor: ['a', 'b'] });
  const log: string[] = [];
  const backends = await connectRelays(
    [new URL(`axle+unix:${path}`)],
    { token, reconnect: { timeoutMs: 300 } },
    { tenants: ['a', 'c'], log: (line) => log.push(line) },
  );
  const relay = await serveTenants(['a', 'b', 'c'], backends, [shippedModels]);
  return { again: () => start(server), server, relay, log };
}

describe('a relay', () => {
  it('offers the devices of another server, each tenant over a connection of its own', async () => {
    const { server, relay } = await relayed();
    const a = await relay.connect('a');
    const { devices } = await a.devices();
    expect(devices.map(({ id }) => id)).toContain('remote/gpu1/cpu-fallback:0');
    expect(server.connections).toBe(1);
    const input = bytesOf(300_000);
    const { data } = await a.compress(input, { codec: 'gzip' });
    expect(gunzipSync(data).equals(input)).toBe(true);
    const b = await relay.connect('b');
    expect(Buffer.from((await b.decompress(data)).data).equals(input)).toBe(true);
    // Its own, a's and b's.
    expect(server.connections).toBe(3);
  });

  it('runs models that it has, or that a tenant sent it, and streams', async () => {
    const { relay } = await relayed();
    const a = await relay.connect('a');
    const { results, device } = await a.classify(readFileSync(sample), { model: 'glyphs' });
    expect(results[0]).toMatchObject({ label: 'A' });
    expect(device).toBe('remote/gpu1/cpu-fallback:0');
    const mine = join(shippedModels, 'glyphs');
    expect((await a.classify(readFileSync(sample), { model: mine })).results[0]).toMatchObject({
      label: 'A',
    });
    const input = bytesOf(3_000_000);
    const stream = Readable.from([input]).pipe(a.compressStream({ codec: 'gzip' }));
    expect(gunzipSync(await buffer(stream)).equals(input)).toBe(true);
  });

  it('keeps the promises of that server to each tenant', async () => {
    const { relay } = await relayed({ tenants: { b: { disabled: true } } });
    const input = bytesOf(100);
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((tenant) => relay.connect(tenant)));
    await expect(b?.compress(input)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(c?.compress(input)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await expect(a?.compress(input)).resolves.toBeDefined();
  });

  it('says at its start for whom it may not act, and that a server goes and comes back', async () => {
    const { again, server, relay, log } = await relayed();
    expect(log).toEqual([expect.stringContaining('does not let this relay act for c')]);
    const a = await relay.connect('a');
    const healthOf = async () => {
      const { devices } = await a.devices();
      return devices.find(({ id }) => id.endsWith('cpu-fallback:0'))?.health;
    };
    await server.close();
    await vi.waitUntil(async () => (await healthOf()) === 'LOST', { timeout: 20_000 });
    // Nobody calls a device that is lost, and still it is found again.
    await again();
    await vi.waitUntil(async () => (await healthOf()) === 'OK', { timeout: 20_000 });
    expect(log.slice(1)).toEqual([
      expect.stringMatching(/^lost axle\+unix:.*gpu1.sock: /),
      expect.stringMatching(/^axle\+unix:.*gpu1.sock is back$/),
    ]);
  });
});
