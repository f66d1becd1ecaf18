import { join } from 'node:path';

import type { SharedMemory } from '@axle/core/internal';
import type { Log, TemporaryFolder } from '@axle/remoting';

import type { NamedPlugin } from '../options.js';
import { RunningServer } from '../running-server.js';

const settingsPollMs = 1000;

export interface GuestServerOptions {
  /** Whom guests are taken for; each has a socket of its own. */
  readonly tenants: readonly string[];
  /** Settings in JSON, with the tenant's quotas; undefined: the usual ones. */
  readonly config: string | undefined;
  /** A server whose devices the guest is given; undefined: those of this machine. */
  readonly backend: string | undefined;
  readonly models: readonly string[];
  readonly plugins: readonly NamedPlugin[];
  /** Of the one guest's machine, bytes; undefined: its memory is its own. */
  readonly memoryBytes?: number | undefined;
  readonly log: Log;
}

/** What guests talk to: a server on sockets that nobody else can open, one for each tenant. */
export class GuestServer {
  private constructor(
    private readonly folder: TemporaryFolder,
    private readonly tenants: readonly string[],
    private readonly server: RunningServer,
    private readonly memory: SharedMemory | undefined,
  ) {}

  /** @throws as `axle serve` does. */
  static async open(options: GuestServerOptions): Promise<GuestServer> {
    const { tenants, config, backend, models, plugins, memoryBytes, log } = options;
    const { SettingsSource, TemporaryFolder } = await import('@axle/remoting');
    const { cpuPlugin, shippedModels } = await import('axle');
    const folder = await TemporaryFolder.make('axle-guest-');
    const memory = memoryBytes === undefined ? undefined : await memoryFor(memoryBytes);
    try {
      const shared = memory === undefined ? '' : `,memory=${memory.path}`;
      const listen = tenants.map(
        (tenant, i) => `unix:${socketIn(folder, i)},tenant=${tenant}${shared}`,
      );
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
      return new GuestServer(folder, tenants, server, memory);
    } catch (error) {
      memory?.seal();
      await folder.close();
      throw error;
    }
  }

  /** For one of its tenants. */
  socketOf(tenant: string): string {
    return socketIn(this.folder, this.tenants.indexOf(tenant));
  }

  /** File that is to be the memory of the guest's machine, so that this server can read and write it; undefined: none. */
  get memoryFile(): string | undefined {
    return this.memory?.path;
  }

  async close(): Promise<void> {
    try {
      await this.server.close(0);
    } finally {
      this.memory?.seal();
      await this.folder.close();
    }
  }
}

function socketIn(folder: TemporaryFolder, tenant: number): string {
  return join(folder.path, `${tenant}.sock`);
}

/** Zeros that no file system counts and nobody can cut short; undefined: this system has no such, and data streams. */
async function memoryFor(bytes: number): Promise<SharedMemory | undefined> {
  const { SharedMemory, AxleError } = await import('@axle/core/internal');
  try {
    return new SharedMemory(bytes);
  } catch (error) {
    if (!(error instanceof AxleError)) throw error;
    return undefined;
  }
}
