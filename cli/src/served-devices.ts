import type { Backend, Limits, PluginSpec, Runtime, UnavailableBackend } from '@axle/core/internal';
import type { DeviceHosts, Log, PoolBackend, ServeSettings, TenantShares } from '@axle/remoting';

const msPerSecond = 1000;

export interface ServedDevicesOptions {
  readonly settings: ServeSettings;
  /** Of this machine. */
  readonly plugins: readonly PluginSpec[];
  /** Folders of the operator's models. */
  readonly models: readonly string[];
  readonly storeBytes: number;
  /** Of the server's store, for device hosts. */
  readonly lender: string;
  readonly limits: Limits;
  readonly log: Log;
}

/** What `axle serve` and `axle pool` serve: devices in processes of their own, in this one, or of other servers. */
export class ServedDevices {
  private constructor(
    readonly runtime: Runtime,
    private readonly hosts: DeviceHosts | undefined,
    /** Whose devices these are; undefined: no pool's. */
    readonly pool?: PoolBackend,
  ) {}

  /** @throws AxleError as a server that is relayed to, or every one of a pool, cannot be reached. */
  static async open(options: ServedDevicesOptions): Promise<ServedDevices> {
    const { settings, plugins, models, storeBytes, lender, limits, log } = options;
    const { Runtime } = await import('@axle/core/internal');
    if (settings.servers.length > 0) return ServedDevices.openPool(options);
    if (settings.inProcess) {
      const runtime = await Runtime.start({
        plugins,
        decodesImages: plugins.length > 0,
        models,
        limits,
        loadsAhead: true,
        backends: await relays(options),
      });
      return new ServedDevices(runtime, undefined);
    }
    const { DeviceHosts } = await import('@axle/remoting');
    const shares = sharesOf(settings);
    const { hostHungSeconds } = settings;
    const hosts = await DeviceHosts.start({
      ...{ plugins, models, storeBytes, lender, limits, shares, log },
      hungMs: hostHungSeconds === undefined ? undefined : hostHungSeconds * msPerSecond,
    });
    try {
      const runtime = await Runtime.start({
        plugins: [],
        decodesImages: false,
        backends: [...(await relays(options)), ...hosts.backends],
        models,
        limits,
      });
      noteUnavailable(runtime, hosts.unavailable);
      return new ServedDevices(runtime, hosts);
    } catch (error) {
      // Such as a server that is relayed to and cannot be reached.
      await Promise.all(hosts.backends.map((backend) => backend.close()));
      await hosts.close();
      throw error;
    }
  }

  /** The devices of other servers, as one. */
  private static async openPool(options: ServedDevicesOptions): Promise<ServedDevices> {
    const { settings, models, limits, log } = options;
    const { Runtime } = await import('@axle/core/internal');
    const { PoolBackend, poolLimits } = await import('@axle/remoting');
    const { servers, drainedServers, fit } = settings;
    const pool = await PoolBackend.connect({
      servers,
      drained: drainedServers,
      fit,
      connect: {},
      actsForTenants: true,
      log,
    });
    const runtime = await Runtime.start({
      plugins: [],
      decodesImages: false,
      backends: [pool],
      models,
      limits: poolLimits(limits, servers),
    });
    return new ServedDevices(runtime, undefined, pool);
  }

  /** How often each device host was started again. */
  get hostRestarts(): ReadonlyMap<string, number> {
    return this.hosts?.restarts ?? new Map();
  }

  /** Tasks that wait in device hosts, by the content of their models. */
  async hostWaiting(): Promise<ReadonlyMap<string, number>> {
    return (await this.hosts?.waitingByModel()) ?? new Map();
  }

  /** Takes over what may change while the server runs. */
  update(settings: ServeSettings): void {
    this.hosts?.setShares(sharesOf(settings));
    this.pool?.setServers(settings.servers, settings.drainedServers);
  }

  async close(): Promise<void> {
    try {
      await this.runtime.close();
    } finally {
      await this.hosts?.close();
    }
  }
}

async function relays({ settings, log }: ServedDevicesOptions): Promise<readonly Backend[]> {
  if (settings.backends.length === 0) return [];
  const { connectRelays } = await import('@axle/remoting');
  return connectRelays(settings.backends, {}, { tenants: tenantsOf(settings), log });
}

/** Those that are sure to come, by what the settings say. */
function tenantsOf({ listen, doors, trust }: ServeSettings): readonly string[] {
  const places = [...listen, ...doors.grpc, ...doors.http].flatMap(({ tenant }) => tenant ?? []);
  const named = [...trust.tenancy.named].flatMap(([name, { disabled }]) => (disabled ? [] : name));
  return [...new Set([...places, ...named])];
}

function sharesOf({ trust }: ServeSettings): TenantShares {
  const { others, named } = trust.tenancy;
  const shares = [...named].map(
    ([name, { weight, queueDepth, slice }]) => [name, { weight, queueDepth, slice }] as const,
  );
  const { weight, queueDepth, slice } = others;
  return { others: { weight, queueDepth, slice }, named: Object.fromEntries(shares) };
}

function noteUnavailable(runtime: Runtime, missing: readonly UnavailableBackend[]): void {
  for (const { backend, reason } of missing) runtime.registry.addUnavailable(backend, reason);
}
