import { execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { cpuPlugin, type PluginSpec } from 'axle';
import { limitsWith, Runtime } from '@axle/core/internal';
import {
  createToken,
  Server,
  SettingsSource,
  writeTokenLines,
  type ServerOptions,
  type TokenRecord,
} from '@axle/remoting';

import { axlePath } from './serve.js';

import { temporaryStore } from './temporary-store.js';

/** For peers that do not greet. */
export type Bounds = Pick<ServerOptions, 'handshakeMs' | 'newcomersMax'>;

/** Beside the CPU plugin. */
export interface MorePlugins {
  readonly plugins?: readonly PluginSpec[];
  /** Whose tokens are good here too. */
  readonly tokensOf?: TrustedServer;
}

/** A server in this process, with its settings in files that may be changed while it runs. */
export class TrustedServer {
  /** All that it logged. */
  readonly log: string[] = [];
  private logged: (() => void) | undefined;
  private readonly records: TokenRecord[] = [];
  private server!: Server;
  private source!: SettingsSource;
  private isClosed = false;
  runtime!: Runtime;

  private constructor(
    private readonly folder: string,
    private config: object,
  ) {}

  /** @param config as in a file of settings; it is given a file of tokens */
  static async start(
    folder: string,
    config: object,
    { plugins = [], tokensOf, ...options }: Bounds & MorePlugins = {},
  ): Promise<TrustedServer> {
    const self = new TrustedServer(folder, config);
    const log = (line: string) => {
      self.log.push(line);
      self.logged?.();
    };
    self.records.push(...(tokensOf?.records ?? []));
    self.write('tokens.jsonl', writeTokenLines(self.records));
    self.write('config.json', JSON.stringify(config));
    self.source = await SettingsSource.open({ config: join(folder, 'config.json') }, 20, log);
    const { listen, doors, models, modelControl, trust, tls } = self.source.settings;
    const limits = limitsWith({});
    self.runtime = await Runtime.start({ plugins: [cpuPlugin, ...plugins], models, limits });
    const { runtime } = self;
    const store = await temporaryStore();
    self.server = await Server.start({
      runtime,
      listen,
      doors,
      modelControl,
      limits,
      trust,
      tls,
      log,
      store,
      ...options,
    });
    self.source.onChange((changed) => {
      self.server.update(changed.trust, changed.tls);
    });
    return self;
  }

  get endpoint(): string {
    return this.server.endpoints[0] ?? '';
  }

  /** Of gRPC and HTTP, in the order of the settings. */
  get doorEndpoints(): readonly string[] {
    return this.server.doorEndpoints;
  }

  get port(): number {
    return Number(new URL(this.endpoint).port);
  }

  get connections(): number {
    return this.server.connections;
  }

  /** Adds a token to the file, and has it read. */
  async addToken(
    tenant: string,
    changes: { readonly mayActFor?: readonly string[]; readonly expires?: string } = {},
  ): Promise<string> {
    const fields = { tenant, expires: null, mayActFor: [], note: '', ...changes };
    const { token, record } = createToken(fields, new Date());
    this.records.push(record);
    await this.writeTokens();
    return token;
  }

  async revoke(token: string): Promise<void> {
    const place = this.records.findIndex(({ id }) => token.includes(id));
    const record = this.records[place] as TokenRecord;
    this.records[place] = { ...record, revoked: new Date().toISOString() };
    await this.writeTokens();
  }

  /** Changes the file of settings, and waits until the server has noticed by itself. */
  async configure(config: object): Promise<void> {
    this.config = { ...this.config, ...config };
    const settled = this.waitForLog(/^settings/);
    this.write('config.json', JSON.stringify(this.config));
    await settled;
  }

  /** A new line that matches. */
  async waitForLog(pattern: RegExp): Promise<string> {
    for (let from = this.log.length; ;) {
      const found = this.log.slice(from).find((line) => pattern.test(line));
      if (found !== undefined) return found;
      from = this.log.length;
      await new Promise<void>((resolve) => {
        this.logged = resolve;
      });
    }
  }

  async reload(): Promise<void> {
    await this.source.reload();
  }

  async close(graceMs = 0): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.source.close();
    await this.server.close(graceMs);
    await this.runtime.close();
  }

  private async writeTokens(): Promise<void> {
    this.write('tokens.jsonl', writeTokenLines(this.records));
    await this.source.reload();
  }

  /** As programs that change settings do: the file is there whole. */
  private write(name: string, text: string): void {
    const path = join(this.folder, name);
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}

/** `axle ca dev`. */
export function makeCertificates(folder: string, ...args: readonly string[]): void {
  execFileSync(process.execPath, [axlePath, 'ca', 'dev', folder, ...args]);
}
