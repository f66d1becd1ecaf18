import type { PluginSpec } from '@axle/core/internal';
import type { Log, ResourceStore, Server, SettingsSource, TemporaryFolder } from '@axle/remoting';

import { ServedDevices } from './served-devices.js';

export interface RunningServerOptions {
  /** Read again, it changes what runs. */
  readonly source: SettingsSource;
  /** Of this machine. */
  readonly plugins: readonly PluginSpec[];
  /** Folders of the operator's models. */
  readonly models: readonly string[];
  /** Where models are kept that clients send; undefined: in a temporary folder. */
  readonly store?: string | undefined;
  readonly storeBytes?: number | undefined;
  /** When stopped, where clients are sent. */
  readonly alternate?: string | undefined;
  readonly log: Log;
}

/** A server of Axle in this process: devices, the models that clients sent, and the doors. */
export class RunningServer {
  private constructor(
    private readonly source: SettingsSource,
    private readonly server: Server,
    private readonly devices: ServedDevices,
    private readonly store: ResourceStore,
    private readonly temporary: TemporaryFolder | undefined,
    private readonly records: readonly { close(): Promise<void> }[],
  ) {}

  /** @throws AxleError for what cannot be opened, or where it cannot listen. */
  static async start(options: RunningServerOptions): Promise<RunningServer> {
    const { source, plugins, models } = options;
    const { settings } = source;
    const remoting = await import('@axle/remoting');
    const { AuditLog, UsageLog, defaultStoreBytesMax, LogLevels, ResourceStore } = remoting;
    const { queueDepthsOf, Server, TemporaryFolder } = remoting;
    const logLevels = new LogLevels();
    const log = logLevels.filter(options.log);
    const { defaultLimits, limitsWith } = await import('@axle/core/internal');
    // prom-client is loaded by those who want it.
    const { enableMetrics } =
      settings.doors.metrics.length === 0 ? {} : await import('axle/metrics');
    const { all, tenant } = queueDepthsOf(settings.trust.tenancy, defaultLimits);
    const limits = limitsWith({ tenantQueueDepthMax: tenant, queueDepthMax: all });
    const { storeBytes = defaultStoreBytesMax } = options;
    let temporary: TemporaryFolder | undefined;
    let devices: ServedDevices | undefined;
    let store: ResourceStore | undefined;
    const onTrouble = (what: string) => {
      log(what, { level: 'warn' });
    };
    const { auditLog, usageLog } = settings;
    const audit = auditLog === undefined ? undefined : new AuditLog({ path: auditLog, onTrouble });
    const usage = usageLog === undefined ? undefined : new UsageLog({ path: usageLog, onTrouble });
    const records = [usage, audit].flatMap((each) => each ?? []);
    try {
      if (options.store === undefined) temporary = await TemporaryFolder.make('axle-store-');
      const folder = options.store ?? temporary?.path ?? '';
      const lender = ResourceStore.blobsIn(folder);
      const served = await ServedDevices.open({
        ...{ settings, plugins, models, storeBytes, lender, limits, log },
      });
      devices = served;
      store = await ResourceStore.open({
        folder,
        isTemporary: temporary !== undefined,
        bytesMax: storeBytes,
        limitsOf: (tenant) => {
          const { named, others } = source.settings.trust.tenancy;
          return (named.get(tenant) ?? others).quotas;
        },
        wholeLimits: () => source.settings.trust.tenancy.limits,
      });
      const { listen, doors, modelControl, trust, tls } = settings;
      const { runtime } = served;
      const { alternate } = options;
      const server = await Server.start({
        ...{ runtime, store, listen, doors, modelControl, limits, trust, tls, logLevels },
        log: options.log,
        ...{ alternate, arenaBytes: settings.sharedMemory },
        loggedRequests: settings.accessLog ? 'all' : 'failures',
        hostRestarts: () => served.hostRestarts,
        hostWaiting: () => served.hostWaiting(),
        addMetrics: enableMetrics,
        pool: devices.pool,
        ...{ audit, usageLog: usage },
      });
      source.onChange((changed) => {
        server.update(changed.trust, changed.tls);
        served.update(changed);
      });
      return new RunningServer(source, server, served, store, temporary, records);
    } catch (error) {
      for (const record of records) await record.close();
      await devices?.close();
      await store?.close();
      await temporary?.close();
      throw error;
    }
  }

  /** URLs of the wire. */
  get endpoints(): readonly string[] {
    return this.server.endpoints;
  }

  /** The standard doors, each with its URL. */
  get doorPlaces(): Server['doorPlaces'] {
    return this.server.doorPlaces;
  }

  /** Takes nothing new, answers what was accepted, and frees all. */
  async close(graceMs: number): Promise<void> {
    this.source.close();
    try {
      await this.server.close(graceMs);
    } finally {
      for (const record of this.records) await record.close();
      await this.devices.close();
      await this.store.close();
      await this.temporary?.close();
    }
  }
}
