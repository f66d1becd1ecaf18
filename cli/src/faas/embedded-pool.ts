import { join } from 'node:path';

import type { Log, SettingsSource, TemporaryFolder } from '@axle/remoting';

import type { NamedPlugin } from '../options.js';
import { RunningServer } from '../running-server.js';

/** How often the file of tokens is looked at besides. */
const pollMs = 60_000;
const msPerHour = 3_600_000;
/** Of a token: twice what an instance that gets it lives. */
const tokenMs = 12 * msPerHour;
/** On the socket of metrics, in a folder that only this user may open. */
const operator = 'local';

interface AskedToken {
  readonly tenant: string;
  readonly resolve: (token: string) => void;
  readonly reject: (error: unknown) => void;
}

export interface EmbeddedPoolOptions {
  readonly models: readonly string[];
  readonly plugins: readonly NamedPlugin[];
  readonly log: Log;
}

/**
 * The devices of this machine for functions: an Axle server on a socket in a folder of this user's own. Each function is a
 * tenant, and its tokens are good for half a day; instances are replaced before.
 */
export class EmbeddedPool {
  private readonly tokens = new Map<string, { token: Promise<string>; renewAt: number }>();
  /** Asked for while others are written: they are written together. */
  private asked: AskedToken[] = [];
  private isWriting = false;

  private constructor(
    private readonly folder: TemporaryFolder,
    private readonly tokenFile: string,
    private readonly source: SettingsSource,
    private readonly server: RunningServer,
  ) {}

  /** @throws as `axle serve` does. */
  static async open({ models, plugins, log }: EmbeddedPoolOptions): Promise<EmbeddedPool> {
    const { SettingsSource, TemporaryFolder } = await import('@axle/remoting');
    const { cpuPlugin, shippedModels } = await import('axle');
    const { changeTokenFile } = await import('../token-file.js');
    const folder = await TemporaryFolder.make('axle-pool-');
    // Not of each token that a new function gets.
    const warn: Log = (message, fields) => {
      if (fields?.level !== undefined && fields.level !== 'info') log(message, fields);
    };
    try {
      const tokens = join(folder.path, 'tokens.jsonl');
      await changeTokenFile(tokens, true, (records) => records);
      const listen = [`unix:${join(folder.path, 'pool.sock')}`];
      const metrics = [`unix:${join(folder.path, 'metrics.sock')},tenant=${operator}`];
      const source = await SettingsSource.open({ listen, metrics, tokens, models }, pollMs, warn);
      const server = await RunningServer.start({
        source,
        plugins: [cpuPlugin, ...plugins],
        models: [...models, shippedModels],
        log,
      });
      return new EmbeddedPool(folder, tokens, source, server);
    } catch (error) {
      await folder.close();
      throw error;
    }
  }

  get url(): string {
    return this.server.endpoints[0] as string;
  }

  /** For whoever runs this process. */
  get metricsUrl(): string {
    return this.server.doorPlaces[0]?.endpoint as string;
  }

  /** Of a function: good for at least half of a token's time. */
  tokenOf(functionName: string): Promise<string> {
    const known = this.tokens.get(functionName);
    if (known !== undefined && Date.now() < known.renewAt) return known.token;
    const token = this.newToken(functionName);
    this.tokens.set(functionName, { token, renewAt: Date.now() + tokenMs / 2 });
    token.catch(() => this.tokens.delete(functionName));
    return token;
  }

  async close(graceMs: number): Promise<void> {
    try {
      await this.server.close(graceMs);
    } finally {
      await this.folder.close();
    }
  }

  private newToken(tenant: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.asked.push({ tenant, resolve, reject });
      void this.writeAsked();
    });
  }

  /** One change of the file for all that were asked for since the last. */
  private async writeAsked(): Promise<void> {
    if (this.isWriting) return;
    this.isWriting = true;
    while (this.asked.length > 0) {
      const asked = this.asked.splice(0);
      try {
        const tokens = await this.write(asked.map(({ tenant }) => tenant));
        for (const [at, { resolve }] of asked.entries()) resolve(tokens[at] as string);
      } catch (error) {
        for (const { reject } of asked) reject(error);
      }
    }
    this.isWriting = false;
  }

  /** Tokens for the tenants, which the server knows when this settles. */
  private async write(tenants: readonly string[]): Promise<string[]> {
    const { createToken, tokenState } = await import('@axle/remoting');
    const { changeTokenFile } = await import('../token-file.js');
    const now = Date.now();
    const expires = new Date(now + tokenMs).toISOString();
    const made = tenants.map((tenant) =>
      createToken({ tenant, expires, mayActFor: [], note: 'function' }, new Date(now)),
    );
    await changeTokenFile(this.tokenFile, false, (records) => [
      ...records.filter((each) => tokenState(each, now) === 'valid'),
      ...made.map(({ record }) => record),
    ]);
    await this.source.reload();
    return made.map(({ token }) => token);
  }
}
