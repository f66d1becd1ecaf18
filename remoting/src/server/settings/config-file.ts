import { resolve } from 'node:path';

import type { TimeSlice } from '@axle/core/internal';

import { defaultDoorLimits, type DoorLimits } from '../../doors/door-limits.js';
import { logFormats, type LogFormat } from '../../log/log.js';
import type { ModelControl } from '../models/model-control.js';
import type { ModelFit } from '../../pool/placement.js';
import { isServerList, serversMax } from '../../pool/server-list.js';
import { StrictObject } from '../../trust/strict-object.js';
import { isTenantName } from '../../trust/tenant-name.js';
import { quotaNames, type Quotas } from '../../trust/quotas.js';
import type { RateLimits } from '../../trust/rates.js';
import { checkSlices, readRates, readSlice } from './tenant-settings.js';

/** `axle serve --config FILE`: what it says, and nothing for what it does not say. Paths are absolute. */
export interface ConfigFile {
  readonly listen?: readonly string[];
  readonly grpc?: readonly string[];
  readonly http?: readonly string[];
  readonly metrics?: readonly string[];
  /** That may read the metrics, which are of all tenants. */
  readonly metricsTenants?: readonly string[];
  /** That may read and change settings while the server runs. */
  readonly operators?: readonly string[];
  readonly doorLimits: Partial<DoorLimits>;
  /** Standard clients on unix sockets may register shared memory. */
  readonly systemSharedMemory?: boolean;
  readonly modelControl: Partial<ModelControl>;
  readonly insecure?: boolean;
  readonly certificate?: string;
  readonly key?: string;
  readonly clientCa?: string;
  /** Certificates that the CA of clients has revoked. */
  readonly crl?: string;
  readonly tokens?: string;
  readonly models?: readonly string[];
  /** Other servers, as URLs, whose devices are offered here. */
  readonly backends?: readonly string[];
  /** Servers of a pool, as URLs or paths of files of them. */
  readonly servers?: readonly string[];
  readonly fit?: ModelFit;
  /** Devices are opened in the server's own process. */
  readonly inProcess?: boolean;
  /** A device host without a sign of life for so long is ended; 0: never. */
  readonly hostHungSeconds?: number;
  /** Shared memory of each connection, bytes; 0: none. */
  readonly sharedMemory?: number;
  readonly graceSeconds?: number;
  readonly logFormat?: LogFormat;
  /** A line for each request. */
  readonly accessLog?: boolean;
  /** Path of a file of who did what. */
  readonly auditLog?: string;
  /** Path of a file of what tenants used. */
  readonly usageLog?: string;
  /** Tasks of one tenant that wait for one device. */
  readonly tenantQueueDepth?: number;
  /** Of each tenant. */
  readonly rates?: Partial<RateLimits>;
  readonly slice?: TimeSlice | undefined;
  /** Servers like this one that tenants come in by, such as several pools: each has its part of rates and quotas. */
  readonly fronts?: number;
  /** Of the server as a whole. */
  readonly limits: Partial<Quotas>;
  /** Of each tenant. */
  readonly quotas: Partial<Quotas>;
  readonly tenants: ReadonlyMap<string, ConfiguredTenant>;
}

export interface ConfiguredTenant {
  readonly weight: number;
  readonly disabled: boolean;
  /** Tasks of it that wait for one device. */
  readonly queueDepth?: number;
  readonly quotas: Partial<Quotas>;
  readonly rates?: Partial<RateLimits>;
  readonly slice?: TimeSlice | undefined;
}

export const configBytesMax = 1024 * 1024;
const listenersMax = 64;
const foldersMax = 256;
const backendsMax = 256;
const graceSecondsMax = 3600;
const hostHungSecondsMax = 3600;
const namedTenantsMax = 4096;
const weightMin = 0.001;
const weightMax = 1000;
/** Of any limit of the doors: what a message of HTTP/2 or a timer can have at all. */
const doorLimitMax = 2 ** 31 - 1;
const modes: readonly ModelControl['mode'][] = ['none', 'explicit', 'poll'];
const controlledMax = 4096;
const pollSecondsMin = 0.01;
const pollSecondsMax = 86_400;
const msPerSecond = 1000;
const queueDepthMax = 1_000_000;
const frontsMax = 256;

/**
 * @param path of the file, to whose folder its paths are relative
 * @throws AxleError INVALID_ARGUMENT naming the key that is wrong, missing or unknown.
 */
export function readConfigFile(text: string, path: string): ConfigFile {
  const fields = StrictObject.parse(text, path);
  const file = (value: string) => resolve(path, '..', value);
  const pathOf = (from: StrictObject, key: string) =>
    from.has(key) ? { [key]: file(from.text(key, isNotEmpty, 'a path')) } : {};
  const config: ConfigFile = {
    ...placesOf(fields, 'listen'),
    ...placesOf(fields, 'grpc'),
    ...placesOf(fields, 'http'),
    ...placesOf(fields, 'metrics'),
    ...tenantsOf(fields, 'metricsTenants'),
    ...tenantsOf(fields, 'operators'),
    doorLimits: readDoorLimits(fields),
    ...(fields.has('systemSharedMemory') && {
      systemSharedMemory: fields.boolean('systemSharedMemory'),
    }),
    modelControl: readModelControl(fields),
    ...(fields.has('insecure') && { insecure: fields.boolean('insecure') }),
    ...(fields.has('tls') && readTls(fields.object('tls'), pathOf)),
    ...pathOf(fields, 'tokens'),
    ...(fields.has('models') && {
      models: fields.texts('models', foldersMax, isNotEmpty, 'folders').map(file),
    }),
    ...(fields.has('backends') && {
      backends: fields.texts('backends', backendsMax, isNotEmpty, 'axle+tls://HOST:PORT ...'),
    }),
    ...(fields.has('servers') && {
      servers: fields
        .texts('servers', serversMax, isNotEmpty, 'axle+tls://HOST:PORT ... or files of them')
        .map((list) => (isServerList(list) ? list : file(list))),
    }),
    ...(fields.has('fit') && { fit: fields.text('fit', isFit, 'best or worst') as ModelFit }),
    ...(fields.has('inProcess') && { inProcess: fields.boolean('inProcess') }),
    ...(fields.has('hostHungSeconds') && {
      hostHungSeconds: fields.number('hostHungSeconds', 0, hostHungSecondsMax),
    }),
    ...(fields.has('sharedMemory') && {
      sharedMemory: fields.wholeNumber('sharedMemory', 0, Number.MAX_SAFE_INTEGER),
    }),
    ...(fields.has('graceSeconds') && {
      graceSeconds: fields.wholeNumber('graceSeconds', 0, graceSecondsMax),
    }),
    ...(fields.has('logFormat') && { logFormat: readLogFormat(fields) }),
    ...(fields.has('accessLog') && { accessLog: fields.boolean('accessLog') }),
    ...(fields.has('tenantQueueDepth') && {
      tenantQueueDepth: fields.wholeNumber('tenantQueueDepth', 1, queueDepthMax),
    }),
    ...pathOf(fields, 'auditLog'),
    ...pathOf(fields, 'usageLog'),
    rates: readRates(fields),
    slice: readSlice(fields),
    ...(fields.has('fronts') && { fronts: fields.wholeNumber('fronts', 1, frontsMax) }),
    limits: readQuotas(fields, 'limits'),
    quotas: readQuotas(fields, 'quotas'),
    tenants: fields.has('tenants') ? readTenants(fields.object('tenants')) : new Map(),
  };
  checkSlices(fields, config.slice, config.tenants.values());
  fields.end();
  return config;
}

/** Keys that say where something listens. */
export type PlaceKey = 'listen' | 'grpc' | 'http' | 'metrics';

function placesOf(fields: StrictObject, key: PlaceKey): Partial<ConfigFile> {
  if (!fields.has(key)) return {};
  return { [key]: fields.texts(key, listenersMax, isNotEmpty, 'unix:PATH, tls:HOST:PORT ...') };
}

function tenantsOf(fields: StrictObject, key: 'metricsTenants' | 'operators'): Partial<ConfigFile> {
  if (!fields.has(key)) return {};
  return { [key]: fields.texts(key, namedTenantsMax, isTenantName, 'names of tenants') };
}

function isFit(value: string): boolean {
  return value === 'best' || value === 'worst';
}

function readLogFormat(fields: StrictObject): LogFormat {
  const isFormat = (value: string) => logFormats.includes(value as LogFormat);
  return fields.text('logFormat', isFormat, logFormats.join(' or ')) as LogFormat;
}

function readDoorLimits(fields: StrictObject): Partial<DoorLimits> {
  if (!fields.has('doorLimits')) return {};
  const limits = fields.object('doorLimits');
  const values = Object.keys(defaultDoorLimits)
    .filter((name) => limits.has(name))
    .map((name) => [name, limits.wholeNumber(name, 1, doorLimitMax)] as const);
  limits.end();
  return Object.fromEntries(values);
}

function readModelControl(fields: StrictObject): Partial<ModelControl> {
  if (!fields.has('modelControl')) return {};
  const control = fields.object('modelControl');
  const texts = (key: string, check: (value: string) => boolean, wanted: string) =>
    control.has(key) ? { [key]: control.texts(key, controlledMax, check, wanted) } : {};
  const read: Partial<ModelControl> = {
    ...(control.has('mode') && { mode: readMode(control) }),
    ...texts('load', isNotEmpty, 'names of models'),
    ...texts('tenants', isTenantName, 'names of tenants'),
    ...(control.has('pollSeconds') && {
      pollMs: control.number('pollSeconds', pollSecondsMin, pollSecondsMax) * msPerSecond,
    }),
  };
  control.end();
  return read;
}

function readMode(control: StrictObject): ModelControl['mode'] {
  const isMode = (value: string) => modes.includes(value as ModelControl['mode']);
  return control.text('mode', isMode, modes.join(' or ')) as ModelControl['mode'];
}

function readTls(
  tls: StrictObject,
  pathOf: (from: StrictObject, key: string) => Partial<ConfigFile>,
): Partial<ConfigFile> {
  const paths = {
    ...pathOf(tls, 'certificate'),
    ...pathOf(tls, 'key'),
    ...pathOf(tls, 'clientCa'),
    ...pathOf(tls, 'crl'),
  };
  tls.end();
  return paths;
}

function readQuotas(fields: StrictObject, key: string): Partial<Quotas> {
  if (!fields.has(key)) return {};
  const quotas = fields.object(key);
  const values = quotaNames
    .filter((name) => quotas.has(name))
    .map((name) => [name, quotas.wholeNumber(name, 0, Number.MAX_SAFE_INTEGER)] as const);
  quotas.end();
  return Object.fromEntries(values);
}

function readTenants(fields: StrictObject): Map<string, ConfiguredTenant> {
  const tenants = new Map<string, ConfiguredTenant>();
  for (const name of fields.keys) {
    const tenant = fields.object(name);
    if (!isTenantName(name)) {
      throw fields.refusal(name, 'is no name of a tenant', 'letters, digits, . _ and -');
    }
    tenants.set(name, {
      weight: tenant.has('weight') ? tenant.number('weight', weightMin, weightMax) : 1,
      disabled: tenant.has('disabled') ? tenant.boolean('disabled') : false,
      ...(tenant.has('queueDepth') && {
        queueDepth: tenant.wholeNumber('queueDepth', 1, queueDepthMax),
      }),
      quotas: readQuotas(tenant, 'quotas'),
      ...(tenant.has('rates') && { rates: readRates(tenant) }),
      ...(tenant.has('slice') && { slice: readSlice(tenant) }),
    });
    tenant.end();
  }
  return tenants;
}

function isNotEmpty(value: string): boolean {
  return value !== '' && !value.includes('\0');
}
