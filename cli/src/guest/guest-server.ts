import { join } from 'node:path';

import type { Log, TemporaryFolder } from '@axle/remoting';

import type { NamedPlugin } from '../options.js';
import { RunningServer } from '../running-server.js';

const settingsPollMs = 1000;

export interface GuestServerOptions {
  /** Whom the guest is taken for. */
  readonly tenant: string;
  /** Settings in JSON, with the tenant's quotas; undefined: the usual ones. */
  readonly config: string | undefined;
  /** A server whose devices the guest is given; undefined: those of this machine. */
  readonly backend: string | undefined;
  readonly models: readonly string[];
  readonly plugins: readonly NamedPlugin[];
  readonly log: Log;
}

/** What one guest talks to: a server on a socket that nobody else can open, for one tenant. */
export class GuestServer {
  private constructor(
    private readonly folder: TemporaryFolder,
    private readonly server: RunningServer,
  ) {}

  /** @throws as `axle serve` does. */
  static async open(options: GuestServerOptions): Promise<GuestServer> {
    const { tenant, config, backend, models, plugins, log } = options;
    const { SettingsSource, TemporaryFolder } = await import('@axle/remoting');
    const { cpuPlugin, shippedModels } = await import('axle');
    const folder = await TemporaryFolder.make('axle-guest-');
    try {
      const listen = [`unix:${join(folder.path, 'axle.sock')},tenant=${tenant}`];
      const backends = backend === undefined ? [] : [backend];
      const source = await SettingsSource.open(
        { config, listen, backends, models, sharedMemory: 0 },
        settingsPollMs,
        log,
      );
      const own = backend === undefined ? [cpuPlugin] : [];
      const server = await RunningServer.start({
        source,
        plugins: [...own, ...plugins],
        models: [...models, shippedModels],
        log,
      });
      return new GuestServer(folder, server);
    } catch (error) {
      await folder.close();
      throw error;
    }
  }

  get socket(): string {
    return join(this.folder.path, 'axle.sock');
  }

  async close(): Promise<void> {
    try {
      await this.server.close(0);
    } finally {
      await this.folder.close();
    }
  }
}
