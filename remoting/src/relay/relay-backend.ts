import {
  type Backend,
  type BackendStream,
  type BackendTask,
  type Device,
  type Health,
  type LoadedModel,
  type ModelSource,
  type OfferedOp,
  type OpArgs,
  type OpRange,
  type StreamOptions,
  sameRange,
  type Support,
  type SupportQuery,
} from '@axle/core/internal';

import { RemoteCall } from '../client/remote-call.js';
import { RelayedTask } from './relayed-task.js';
import { upstreamSources } from './upstream-sources.js';
import type { Upstreams } from './upstreams.js';

/**
 * Devices of other servers, for the tenants of this one: each tenant's work goes over a connection of its own, so that
 * what a server promises a tenant holds behind a relay too.
 */
export class RelayBackend implements Backend {
  readonly batches = 'there';
  /** They are sent on as they are, by memory or socket, and looked at by nobody here. */
  readonly takesInputsThatChange = true;
  readonly version: string;
  readonly ops: readonly OfferedOp[];
  /** By device id. */
  private readonly upstreams: ReadonlyMap<string, Upstreams>;

  private constructor(
    readonly name: string,
    readonly devices: readonly Device[],
    servers: readonly Upstreams[],
  ) {
    this.version = devices[0]?.version ?? '';
    this.upstreams = new Map(devices.map((device, i) => [device.id, servers[i] as Upstreams]));
    this.ops = uniqueOps(
      devices.flatMap((device) =>
        this.serverOf(device).own.ops.filter((op) => this.offers(device, op)),
      ),
    );
  }

  /** One for each backend that the servers have between them. Closing one closes the connections of all. */
  static allOf(servers: readonly Upstreams[]): RelayBackend[] {
    const found = new Map<string, { device: Device; server: Upstreams }[]>();
    for (const server of servers) {
      for (const device of server.own.devices) {
        const { backend } = device;
        found.set(backend, [...(found.get(backend) ?? []), { device, server }]);
      }
    }
    return [...found].map(([name, its]) => {
      const devices = its.map(({ device }) => device);
      return new RelayBackend(
        name,
        devices,
        its.map(({ server }) => server),
      );
    });
  }

  get servers(): readonly Upstreams[] {
    return [...this.upstreams.values()];
  }

  hasElsewhere(device: Device, source: ModelSource): boolean {
    return upstreamSources.get(source)?.server === this.serverOf(device);
  }

  offers(device: Device, op: OpRange): boolean {
    return this.serverOf(device).own.offers(device, op);
  }

  supports(device: Device, query: SupportQuery): Support {
    return this.serverOf(device).own.supports(device, query);
  }

  /** Each tenant's connection makes the model when its first call comes. */
  loadModel(device: Device, source: ModelSource): Promise<LoadedModel> {
    const unknown = { inputs: [], outputs: [], memoryBytes: 0 };
    return Promise.resolve({ source, device, ...unknown, handle: undefined });
  }

  prefetchModel(model: LoadedModel, tenant: string): Promise<void> {
    return this.serverOf(model.device).of(tenant).prefetch(model);
  }

  unloadModel(model: LoadedModel): Promise<void> {
    const server = this.serverOf(model.device);
    for (const upstream of server.all) upstream.unload(model);
    server.onUnload?.(model.source.contentId);
    return Promise.resolve();
  }

  submit(device: Device, batch: readonly BackendTask[]): void {
    const server = this.serverOf(device);
    for (const task of batch) server.of(task.tenant).submit(device, task);
  }

  chargeElsewhere(device: Device, tenant: string, deviceMs: number): void {
    this.serverOf(device).of(tenant).chargeElsewhere(device, deviceMs);
  }

  cancel({ backendData }: BackendTask): void {
    if (backendData instanceof RelayedTask || backendData instanceof RemoteCall) {
      backendData.cancel();
    }
  }

  openStream(device: Device, range: OpRange, args: OpArgs, options: StreamOptions): BackendStream {
    return this.serverOf(device).of(options.tenant).openStream(device, range, args, options);
  }

  health(device: Device): Promise<Health> {
    return this.serverOf(device).own.health(device);
  }

  async close(): Promise<void> {
    await Promise.all([...new Set(this.upstreams.values())].map((server) => server.close()));
  }

  private serverOf({ id }: Device): Upstreams {
    return this.upstreams.get(id) as Upstreams;
  }
}

function uniqueOps(ops: readonly OfferedOp[]): OfferedOp[] {
  return ops.filter((op, i) => ops.findIndex((other) => sameRange(op, other)) === i);
}
