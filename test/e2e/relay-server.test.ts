import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

import { connectRelays } from '@axle/remoting';
import { shippedModels } from 'axle';
import { describe, expect, it } from 'vitest';

import { bytesOf, folder } from './serve.js';
import { afterTest, serveTenants, type TenantsServer } from './tenants-server.js';
import { TrustedServer } from './trusted-server.js';

const sample = fileURLToPath(new URL('../../axle/models/samples/A.png', import.meta.url));

/** A server, and a relay to it whose token may act for a and b. */
async function relayed(config = {}): Promise<{ server: TrustedServer; relay: TenantsServer }> {
  const own = mkdtempSync(join(folder, 'upstream-'));
  const path = join(own, 'gpu1.sock');
  const server = await TrustedServer.start(own, {
    listen: [`unix:${path},tenant=nobody`],
    tokens: 'tokens.jsonl',
    ...config,
  });
  afterTest(() => server.close());
  const token = await server.addToken('relay', { mayActFor: ['a', 'b'] });
  const backends = await connectRelays([new URL(`axle+unix:${path}`)], { token });
  return { server, relay: await serveTenants(['a', 'b', 'c'], backends, [shippedModels]) };
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
});
