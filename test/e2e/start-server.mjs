import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { limitsWith } from '@axle/core/internal';
import { loadServeSettings, ResourceStore, Server } from '@axle/remoting';

/**
 * Serves a runtime to whoever comes, with room for no models.
 *
 * @param {import('@axle/core/internal').Runtime} runtime
 * @param {string} where as `--listen`
 * @returns {Promise<{ server: Server, close: () => Promise<void> }>}
 */
export async function startServer(runtime, where) {
  const { listen, trust } = await loadServeSettings({ listen: [where], insecure: true });
  const store = await ResourceStore.open({
    folder: await mkdtemp(join(tmpdir(), 'axle-test-store-')),
    isTemporary: true,
    bytesMax: 1,
    limitsOf: () => ({ models: 0, modelBytes: 0 }),
  });
  const asked = { runtime, listen, trust, store, limits: limitsWith({}) };
  const server = await Server.start({ ...asked, tls: undefined, log: () => undefined });
  return {
    server,
    close: async () => {
      await server.close(0);
      await store.close();
    },
  };
}
