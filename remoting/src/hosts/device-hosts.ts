import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import {
  messageOf,
  type Backend,
  type Limits,
  type PluginSpec,
  type UnavailableBackend,
} from '@axle/core/internal';

import { connectRelay } from '../relay/connect-relay.js';
import { RelayBackend } from '../relay/relay-backend.js';
import type { Upstreams } from '../relay/upstreams.js';
import { TemporaryFolder } from '../temporary-folder.js';
import { createToken } from '../trust/tokens.js';
import { DeviceHost, type HostUp } from './device-host.js';
import type { HostSettings, TenantShares } from './host-message.js';

export interface DeviceHostsOptions {
  /** The first one's host decodes images too. */
  readonly plugins: readonly PluginSpec[];
  /** Folders of the operator's models. */
  readonly models: readonly string[];
  /** Most that models of tenants may take in each host, bytes. */
  readonly storeBytes: number;
  /** `ResourceStore.blobsIn` of the server's store: what is there is not kept twice. */
  readonly lender?: string | undefined;
  readonly limits: Limits;
  readonly shares: TenantShares;
  /** A host without a sign of life for so long, milliseconds, is ended and started again; 0: never. Default 10,000. */
  readonly hungMs?: number | undefined;
  readonly log: (line: string) => void;
}

/** JavaScript in a host may be busy for a while: with large tensors, or where the machine is overloaded. */
const defaultHungMs = 10_000;

/** A host that is up and ends before it is connected to is tried again for so long, milliseconds. */
const connectMsMax = 30_000;

/** Whom a server acts as towards its hosts, where it acts for no tenant. */
const ownTenant = 'device-hosts';

/** The devices of this machine, each in a process of its own. */
export class DeviceHosts {
  private readonly hosts: DeviceHost[] = [];
  private readonly found: Backend[] = [];
  private readonly missing: UnavailableBackend[] = [];
  private opened = 0;

  private constructor(
    private readonly options: DeviceHostsOptions,
    private readonly folder: TemporaryFolder,
  ) {}

  /** Starts all. A plugin that does not open, or ends its host while it opens, is listed as unavailable. */
  static async start(options: DeviceHostsOptions): Promise<DeviceHosts> {
    // Sockets in it are for this user only, whatever their own mode.
    const hosts = new DeviceHosts(options, await TemporaryFolder.make('axle-hosts-'));
    try {
      const opened = await Promise.all(
        options.plugins.map((plugin, index) => hosts.openPlugin(plugin, index === 0)),
      );
      // In the order of the options, whichever was up first: it decides between equals.
      hosts.found.push(...RelayBackend.allOf(opened.flat()));
      return hosts;
    } catch (error) {
      await hosts.close();
      throw error;
    }
  }

  /** For a runtime, which closes them. */
  get backends(): readonly Backend[] {
    return this.found;
  }

  get unavailable(): readonly UnavailableBackend[] {
    return this.missing;
  }

  get all(): readonly DeviceHost[] {
    return this.hosts;
  }

  /** How often each was started again, by the plugin, and the device where it has several. */
  get restarts(): ReadonlyMap<string, number> {
    return new Map(this.hosts.map(({ label, restartCount }) => [label, restartCount]));
  }

  /** Tasks that wait in all of them, by the content of their models. */
  async waitingByModel(): Promise<ReadonlyMap<string, number>> {
    const all = new Map<string, number>();
    for (const byModel of await Promise.all(this.hosts.map((host) => host.waitingByModel()))) {
      for (const [model, waiting] of byModel) all.set(model, (all.get(model) ?? 0) + waiting);
    }
    return all;
  }

  setShares(shares: TenantShares): void {
    for (const host of this.hosts) host.setShares(shares);
  }

  /** To be called when nothing uses the backends any more. */
  async close(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.close()));
    await this.folder.close();
  }

  private async openPlugin(plugin: PluginSpec, decodesImages: boolean): Promise<Upstreams[]> {
    const first = await this.open(plugin, decodesImages, undefined);
    if (first === undefined) return [];
    const { host, said, server } = first;
    if (said.devices <= 1) return [server];
    // Each device is to fail alone.
    await server.close();
    await this.end(host);
    const each = await Promise.all(
      Array.from({ length: said.devices }, (_, device) =>
        this.open(plugin, decodesImages && device === 0, device),
      ),
    );
    return each.flatMap((opened) => (opened === undefined ? [] : [opened.server]));
  }

  private async open(
    plugin: PluginSpec,
    decodesImages: boolean,
    device: number | undefined,
  ): Promise<{ host: DeviceHost; said: HostUp; server: Upstreams } | undefined> {
    const { models, storeBytes, limits, shares, log } = this.options;
    const { hungMs = defaultHungMs } = this.options;
    const label = device === undefined ? plugin.name : `${plugin.name}-${device}`;
    const place = join(this.folder.path, String(this.opened++));
    const store = `${place}.store`;
    await mkdir(store, { recursive: true, mode: 0o700 });
    const socket = `${place}.sock`;
    const { token, record } = createToken(
      { tenant: ownTenant, expires: null, mayActFor: ['*'], note: '' },
      new Date(),
    );
    const settings: HostSettings = {
      ...{ plugin, device, decodesImages, socket, models, store, storeBytes, limits, shares },
      lender: this.options.lender,
      token: record,
    };
    let started: DeviceHost | undefined;
    try {
      const { host, said } = await DeviceHost.start({ settings, label, hungMs, log });
      started = host;
      this.hosts.push(host);
      if (said.unavailable !== undefined) {
        this.missing.push({ backend: plugin.name, reason: said.unavailable });
      }
      const server = await connectRelay(
        new URL(`axle+unix:${encodeURI(socket)}`),
        { token },
        { name: host.name, naming: { prefix: '' }, whenUp: (signal) => host.whenUp(signal) },
        // Its models come from this server.
        { hasNames: false, msMax: connectMsMax },
      );
      server.onUnload = (contentId) => {
        host.unload(contentId);
      };
      return { host, said, server };
    } catch (error) {
      await this.end(started);
      this.missing.push({ backend: plugin.name, reason: messageOf(error) });
      return undefined;
    }
  }

  private async end(host: DeviceHost | undefined): Promise<void> {
    if (host === undefined) return;
    await host.close();
    this.hosts.splice(this.hosts.indexOf(host), 1);
  }
}
