import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { AxleError, limitsWith, Runtime } from '@axle/core/internal';
import { loadServeSettings, Server } from '@axle/remoting';
import { connect, type Client } from 'axle';
import { describe, expect, it } from 'vitest';

import { SimulatedBackend } from '../bench/pool/simulated-backend.mjs';
import { folder } from './serve.js';
import { temporaryStore } from './temporary-store.js';
import { afterTest } from './tenants-server.js';

/** On each server, of the tenant that floods. */
const floodCallsMax = 60;
const taskMs = 2;

/** A simulated device behind a server, with a socket for each tenant. */
async function simulated(name: string): Promise<void> {
  const limits = limitsWith({});
  const runtime = await Runtime.start({
    ...{ plugins: [], decodesImages: false, models: [], limits },
    backends: [new SimulatedBackend()],
  });
  const listen = ['flood', 'victim'].map(
    (tenant) => `unix:${join(folder, `${name}-${tenant}.sock`)},tenant=${tenant}`,
  );
  const tenants = { flood: { quotas: { calls: floodCallsMax } } };
  const config = join(folder, `${name}.json`);
  writeFileSync(config, JSON.stringify({ listen, tenants }));
  const settings = await loadServeSettings({ config });
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

async function poolAs(tenant: string, ...names: readonly string[]): Promise<Client> {
  const servers = names.map((name) => `server=axle+unix:${join(folder, `${name}-${tenant}.sock`)}`);
  const client = await connect(`axle+pool:?${servers.join('&')}`);
  afterTest(() => client.close());
  return client;
}

/** Makes calls without a break, so many at a time, and counts what became of them. */
class Tenant {
  made = 0;
  done = 0;
  wrong = 0;
  readonly refused: unknown[] = [];
  private isOver = false;
  private readonly callers: readonly Promise<void>[];

  constructor(
    private readonly client: Client,
    private readonly name: string,
    callers: number,
    private readonly doneMax = Infinity,
  ) {
    this.callers = Array.from({ length: callers }, () => this.run());
  }

  /** Settles once so many were done. */
  async end(): Promise<void> {
    await Promise.all(this.callers);
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.end();
  }

  private async run(): Promise<void> {
    while (!this.isOver && this.done < this.doneMax) {
      this.made += 1;
      const text = `${this.name} ${this.made}`;
      try {
        const work = { bytes: Buffer.from(text) };
        const { outputs } = await this.client.run('sim.axle/work', work, { args: { ms: taskMs } });
        const given = Buffer.from(outputs['bytes']?.data as Uint8Array).toString();
        if (given !== text) this.wrong += 1;
        this.done += 1;
      } catch (error) {
        this.refused.push(error);
        // Whoever is refused may come again when something was done.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }
}

describe('a tenant that floods a pool', () => {
  it('has its share and no more: others keep theirs, and only what is over its quota is refused', async () => {
    await Promise.all([simulated('flooded1'), simulated('flooded2')]);
    const of = (tenant: string) => poolAs(tenant, 'flooded1', 'flooded2');
    const victimClient = await of('victim');
    const floodClient = await of('flood');
    const flood = new Tenant(floodClient, 'flood', 200);
    // As many as both servers take, and more: from now on it is refused.
    await expect.poll(() => flood.refused.length, { timeout: 30_000 }).toBeGreaterThan(100);
    const before = flood.done;
    // Always some of it on either server.
    const victim = new Tenant(victimClient, 'victim', 16, 1000);
    await victim.end();
    const during = flood.done - before;
    await flood.stop();
    console.log(
      `flood: ${flood.made} calls made, ${flood.refused.length} refused, ${flood.done} done; beside the victim's ` +
        `${victim.done} it had ${during}`,
    );
    expect(victim).toMatchObject({ wrong: 0, refused: [], made: victim.done });
    expect(victim.done).toBeGreaterThanOrEqual(1000);
    // One by one they have the same. By who came first it would have 120 calls for 16.
    expect(during).toBeLessThan(1.5 * victim.done);
    // Nor does it starve.
    expect(during).toBeGreaterThan(victim.done / 2);
    expect({ wrong: flood.wrong, answered: flood.done + flood.refused.length }).toEqual({
      wrong: 0,
      answered: flood.made,
    });
    const strange = flood.refused.filter(
      (error) =>
        !(error instanceof AxleError) ||
        error.code !== 'RESOURCE_EXHAUSTED' ||
        !error.message.includes(`tenant flood may have ${floodCallsMax} calls`),
    );
    expect(strange).toEqual([]);
  });
});
