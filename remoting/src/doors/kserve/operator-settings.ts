import { AxleError, isTraced } from '@axle/core/internal';

import type { LogLevels } from '../../log/log-levels.js';
import type { Log, LogLevel } from '../../log/log.js';
import type { RequestLog } from '../../log/request-log.js';
import type { DoorClient } from '../door-clients.js';

export type SettingValue = boolean | number | string | readonly string[];
/** By their names in Triton. */
export type ServerSettings = ReadonlyMap<string, SettingValue>;

/** What a server tells its operator, and may be told while it runs. */
export interface OperatorLog {
  readonly levels: LogLevels;
  readonly requests: RequestLog;
  /** Past the levels: that one of them was silenced is not to be silent. */
  readonly write: Log;
}

interface LogSetting {
  /** What values there are. */
  readonly wanted: string;
  read(log: OperatorLog): boolean | number;
  takes(value: SettingValue): boolean;
  change(log: OperatorLog, value: SettingValue): void;
}

const logSettings: ReadonlyMap<string, LogSetting> = new Map([
  ['log_info', levelSetting('info')],
  ['log_warning', levelSetting('warn')],
  ['log_error', levelSetting('error')],
  [
    'log_verbose_level',
    {
      wanted: '0 or 1, which is a line for each request',
      read: ({ requests }) => (requests.writesAll ? 1 : 0),
      takes: (value) => value === 0 || value === 1,
      change: ({ requests }, value) => {
        requests.which = value === 1 ? 'all' : 'failures';
      },
    },
  ],
]);

/** Of Triton, and why they are not changed here. */
const otherLogSettings: ReadonlyMap<string, string> = new Map([
  ['log_file', 'the log goes to stderr; send that where it is to go'],
  ['log_format', 'it is set where the server is started, by --log-format'],
]);

const bySdk = 'it is set where the server is started, by its OpenTelemetry SDK';
const bySampler = `${bySdk}, such as by OTEL_TRACES_SAMPLER`;
const byExporter = `${bySdk} and its exporter`;
const traceSettings: ReadonlyMap<string, string> = new Map([
  ['trace_mode', bySdk],
  ['trace_level', bySdk],
  ['trace_rate', bySampler],
  ['trace_count', bySampler],
  ['log_frequency', byExporter],
  ['trace_file', byExporter],
]);

/** Log and trace settings of Triton, as far as this server has them: for operators. */
export class OperatorSettings {
  /** @param operators tenants that may read and change them */
  constructor(
    private readonly log: OperatorLog,
    private readonly operators: readonly string[],
  ) {}

  /** @throws AxleError PERMISSION_DENIED */
  logSettings(client: DoorClient): ServerSettings {
    this.check(client);
    return new Map([...logSettings].map(([name, setting]) => [name, setting.read(this.log)]));
  }

  /**
   * Changes all or none.
   *
   * @throws AxleError PERMISSION_DENIED; UNIMPLEMENTED for settings of Triton that are not changed here;
   * INVALID_ARGUMENT for others and for values that mean nothing.
   */
  changeLog(client: DoorClient, changes: ServerSettings): void {
    this.check(client);
    const checked = [...changes].map(([name, value]) => checkedSetting(name, value));
    for (const { name, setting, value } of checked) {
      if (setting.read(this.log) === value) continue;
      setting.change(this.log, value);
      this.log.write(`tenant ${client.tenant.name} set ${name} to ${String(value)}`, {
        tenant: client.tenant.name,
      });
    }
  }

  /** @throws AxleError PERMISSION_DENIED */
  traceSettings(client: DoorClient): ReadonlyMap<string, readonly string[]> {
    this.check(client);
    return new Map([
      ['trace_mode', ['opentelemetry']],
      ['trace_level', [isTraced() ? 'TIMESTAMPS' : 'OFF']],
    ]);
  }

  /** @throws AxleError PERMISSION_DENIED; UNIMPLEMENTED or INVALID_ARGUMENT for any change. */
  changeTrace(client: DoorClient, changes: ServerSettings): void {
    this.check(client);
    const [name] = changes.keys();
    if (name === undefined) return;
    throw notChanged('trace', name, traceSettings, [...traceSettings.keys()]);
  }

  private check({ tenant }: DoorClient): void {
    if (this.operators.includes(tenant.name)) return;
    throw new AxleError(
      'PERMISSION_DENIED',
      `tenant ${tenant.name} may not read or change the settings of the server; ask its operator, who names those that may under operators`,
    );
  }
}

function levelSetting(level: LogLevel): LogSetting {
  return {
    wanted: 'true or false',
    read: ({ levels }) => levels.writes(level),
    takes: (value) => typeof value === 'boolean',
    change: ({ levels }, value) => {
      levels.set(level, value === true);
    },
  };
}

function checkedSetting(name: string, value: SettingValue) {
  const setting = logSettings.get(name);
  if (setting === undefined) {
    throw notChanged('log', name, otherLogSettings, [...logSettings.keys()]);
  }
  if (setting.takes(value)) return { name, setting, value };
  const shown =
    typeof value === 'string' ? 'text' : typeof value === 'object' ? 'a list' : String(value);
  throw new AxleError(
    'INVALID_ARGUMENT',
    `log setting '${name}' is ${shown}; give ${setting.wanted}`,
  );
}

function notChanged(
  kind: 'log' | 'trace',
  name: string,
  known: ReadonlyMap<string, string>,
  names: readonly string[],
): AxleError {
  const why = known.get(name);
  if (why !== undefined) {
    return new AxleError('UNIMPLEMENTED', `${kind} setting '${name}' is not changed here: ${why}`);
  }
  return new AxleError(
    'INVALID_ARGUMENT',
    `there is no ${kind} setting '${name.slice(0, 64)}'; there are: ${names.join(', ')}`,
  );
}
