import { limitsWith, Runtime } from '@axle/core/internal';
import { loadServeSettings, Server, type ServerOptions } from '@axle/remoting';
import { afterEach } from 'vitest';

import { EffectBackend } from './effect-backend.mjs';
import { temporaryStore } from './temporary-store.js';

/** In this process, so that tests see what it holds. */
export interface EffectServer {
  readonly server: Server;
  readonly backend: EffectBackend;
  /** What append appended, in order. */
  readonly lines: string[];
}

const servers: { readonly server: Server; readonly runtime: Runtime }[] = [];

afterEach(async () => {
  for (const { server, runtime } of servers.splice(0)) {
    await server.close(0);
    await runtime.close();
  }
});

/** Gone after the test. */
export async function effectServer(
  listen: readonly string[],
  options: Partial<ServerOptions> & { readonly device?: string } = {},
): Promise<EffectServer> {
  const lines: string[] = [];
  const backend = new EffectBackend((line) => lines.push(line), options.device);
  const limits = limitsWith({});
  const runtime = await Runtime.start({
    plugins: [],
    decodesImages: false,
    backends: [backend],
    models: [],
    limits,
  });
  const settings = await loadServeSettings({ listen, insecure: true });
  const store = await temporaryStore();
  const server = await Server.start({
    runtime,
    listen: settings.listen,
    limits,
    trust: settings.trust,
    tls: undefined,
    log: () => undefined,
    store,
    ...options,
  });
  servers.push({ server, runtime });
  return { server, backend, lines };
}
