import { AxleError, messageOf } from '@axle/core/internal';

import type { Log } from '../../log/log.js';
import { FileWatch } from './file-watch.js';
import { loadServeSettings, type ServeOptions, type ServeSettings } from './serve-settings.js';

/** What is settled when a server starts, by the keys of the file. */
function startValuesOf(settings: ServeSettings): Readonly<Record<string, unknown>> {
  const { doors, ...others } = settings;
  return {
    listen: others.listen,
    grpc: doors.grpc,
    http: doors.http,
    metrics: doors.metrics,
    metricsTenants: doors.metricsTenants,
    operators: doors.operators,
    doorLimits: doors.limits,
    systemSharedMemory: doors.systemSharedMemory,
    models: others.models,
    modelControl: others.modelControl,
    backends: others.backends,
    inProcess: others.inProcess,
    hostHungSeconds: others.hostHungSeconds,
    sharedMemory: others.sharedMemory,
    graceSeconds: others.graceSeconds,
    logFormat: others.logFormat,
    accessLog: others.accessLog,
    auditLog: others.auditLog,
    usageLog: others.usageLog,
  };
}

/**
 * The settings of a server, read again when a file of theirs has changed or when asked to. What cannot be used is logged,
 * and what was there before stays in force.
 */
export class SettingsSource {
  private listener: (settings: ServeSettings) => void = () => undefined;
  private reading = Promise.resolve();
  /** The one after it, for those who ask while it reads. */
  private next: Promise<void> | undefined;
  private readonly watch: FileWatch;

  private constructor(
    private readonly options: ServeOptions,
    private current: ServeSettings,
    pollMs: number,
    private readonly log: Log,
  ) {
    this.watch = new FileWatch(current.files, pollMs, () => void this.reload());
  }

  /** @throws AxleError as `loadServeSettings`. */
  static async open(options: ServeOptions, pollMs: number, log: Log): Promise<SettingsSource> {
    return new SettingsSource(options, await loadServeSettings(options), pollMs, log);
  }

  /** Those in force. */
  get settings(): ServeSettings {
    return this.current;
  }

  onChange(listener: (settings: ServeSettings) => void): void {
    this.listener = listener;
  }

  /** Reads everything anew, as it is from now on. Resolves when that is in force or refused. */
  reload(): Promise<void> {
    this.next ??= this.reading.then(() => {
      this.next = undefined;
      this.reading = this.read();
      return this.reading;
    });
    return this.next;
  }

  close(): void {
    this.watch.close();
    this.listener = () => undefined;
  }

  private async read(): Promise<void> {
    try {
      const settings = await loadServeSettings(this.options);
      this.checkTls(settings);
      this.warnOfRestart(settings);
      this.current = settings;
      this.watch.read(settings.files);
      this.listener(settings);
      this.log('settings were read again and are in force');
    } catch (error) {
      this.log(`settings stay as they were: ${messageOf(error)}`, { level: 'warn' });
    }
  }

  private warnOfRestart(next: ServeSettings): void {
    const before = startValuesOf(this.current);
    for (const [key, value] of Object.entries(startValuesOf(next))) {
      if (JSON.stringify(value) === JSON.stringify(before[key])) continue;
      this.log(`a change of ${key} counts from the next start on`);
    }
  }

  /** What a listener asks its clients for is settled when it opens. */
  private checkTls({ tls }: ServeSettings): void {
    const { tls: before } = this.current;
    const same =
      (tls === undefined) === (before === undefined) &&
      (tls?.clientCa === undefined) === (before?.clientCa === undefined);
    if (same) return;
    throw new AxleError(
      'FAILED_PRECONDITION',
      'TLS and the CA of clients are turned on and off by a restart only',
    );
  }
}
