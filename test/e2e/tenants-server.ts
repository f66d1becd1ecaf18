import { join } from 'node:path';

import { limitsWith, Runtime, type Backend } from '@axle/core/internal';
import { loadServeSettings, Server } from '@axle/remoting';
import { connect, type Client } from 'axle';
import { afterEach } from 'vitest';

import { folder } from './serve.js';
import { temporaryStore } from './temporary-store.js';

const opened: (() => Promise<void>)[] = [];
let servers = 0;

/** Runs it after the test; what was opened last is closed first. */
export function afterTest(close: () => Promise<void>): void {
  opened.push(close);
}

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** A server in this process on backends of the test's. */
export interface TenantsServer {
  readonly log: string[];
  /** A client for a tenant. */
  readonly connect: (tenant: string) => Promise<Client>;
}

/** A socket for each tenant. */
export async function serveTenants(
  tenants: readonly string[],
  backends: readonly Backend[],
  models: readonly string[],
): Promise<TenantsServer> {
  const log: string[] = [];
  const limits = limitsWith({});
  const runtime = await Runtime.start({
    plugins: [],
    decodesImages: false,
    ...{ backends, models, limits },
  });
  servers += 1;
  const pathOf = (tenant: string) => join(folder, `tenants-${servers}-${tenant}.sock`);
  const { listen, trust } = await loadServeSettings({
    listen: tenants.map((tenant) => `unix:${pathOf(tenant)},tenant=${tenant}`),
  });
  const server = await Server.start({
    ...{ runtime, listen, trust, limits, tls: undefined },
    store: await temporaryStore(),
    log: (line) => log.push(line),
  });
  afterTest(async () => {
    await server.close(0);
    await runtime.close();
  });
  return {
    log,
    connect: async (tenant) => {
      const client = await connect(`axle+unix:${pathOf(tenant)}`);
      afterTest(() => client.close());
      return client;
    },
  };
}
