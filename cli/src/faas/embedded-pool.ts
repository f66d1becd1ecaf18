import { join } from 'node:path';

import type { Log } from '@axle/remoting';

import type { NamedPlugin } from '../options.js';
import type { ServedDevices } from '../served-devices.js';

/** How often the file of tokens is looked at besides. */
const pollMs = 60_000;

export interface EmbeddedPoolOptions {
  readonly models: readonly string[];
  readonly plugins: readonly NamedPlugin[];
  readonly log: Log;
}

/**
 * The devices of this machine for functions: an Axle server on a socket in a folder of this user's own. Each function is a
 * tenant with a token, which is good as long as the server runs.
 */
export class EmbeddedPool {
  private readonly tokens = new Map<string, Promise<string>>();

  private constructor(
    readonly url: string,
    private readonly newToken: (tenant: string) => Promise<string>,
    private readonly end: (graceMs: number) => Promise<void>,
  ) {}

  /** @throws as `axle serve` does. */
  static async open({ models, plugins, log }: EmbeddedPoolOptions): Promise<EmbeddedPool> {
    const {
      createToken,
      defaultStoreBytesMax,
      ResourceStore,
      Server,
      SettingsSource,
      TemporaryFolder,
    } = await import('@axle/remoting');
    const { cpuPlugin, shippedModels } = await import('axle');
    const { limitsWith } = await import('@axle/core/internal');
    const { ServedDevices: Devices } = await import('../served-devices.js');
    const { changeTokenFile } = await import('../token-file.js');
    const folder = await TemporaryFolder.make('axle-pool-');
    const tokenFile = join(folder.path, 'tokens.jsonl');
    let devices: ServedDevices | undefined;
    // Of each new token it would tell that settings were read again.
    const unasked: Log = (message, fields) => {
      if (fields?.level === 'warn' || fields?.level === 'error') log(message, fields);
    };
    try {
      await changeTokenFile(tokenFile, true, (records) => records);
      const listen = [`unix:${join(folder.path, 'pool.sock')}`];
      const source = await SettingsSource.open({ listen, tokens: tokenFile, models }, pollMs, log);
      const { settings } = source;
      const limits = limitsWith({});
      devices = await Devices.open({
        settings,
        plugins: [cpuPlugin, ...plugins],
        models: [...models, shippedModels],
        storeBytes: defaultStoreBytesMax,
        limits,
        log,
      });
      const store = await ResourceStore.open({
        folder: join(folder.path, 'store'),
        isTemporary: true,
        bytesMax: defaultStoreBytesMax,
        limitsOf: (tenant) => {
          const { named, others } = source.settings.trust.tenancy;
          return (named.get(tenant) ?? others).quotas;
        },
        wholeLimits: () => source.settings.trust.tenancy.limits,
      });
      const { runtime } = devices;
      const { trust, tls } = settings;
      const server = await Server.start({
        runtime,
        store,
        listen: settings.listen,
        limits,
        trust,
        tls,
        log,
      });
      source.onChange((changed) => server.update(changed.trust, changed.tls));
      const opened = devices;
      return new EmbeddedPool(
        server.endpoints[0] as string,
        async (tenant) => {
          const fields = { tenant, expires: null, mayActFor: [], note: 'function' };
          const { token, record } = createToken(fields, new Date());
          await changeTokenFile(tokenFile, false, (records) => [...records, record]);
          await source.reload();
          return token;
        },
        async (graceMs) => {
          source.close();
          await server.close(graceMs);
          await opened.close();
          await store.close();
          await folder.close();
        },
      );
    } catch (error) {
      await devices?.close();
      await folder.close();
      throw error;
    }
  }

  /** Of a function, made when it is first asked for. */
  tokenOf(functionName: string): Promise<string> {
    let token = this.tokens.get(functionName);
    if (token === undefined) {
      token = this.newToken(functionName);
      this.tokens.set(functionName, token);
      token.catch(() => this.tokens.delete(functionName));
    }
    return token;
  }

  close(graceMs: number): Promise<void> {
    return this.end(graceMs);
  }
}
