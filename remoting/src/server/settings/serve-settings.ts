import { AxleError } from '@axle/core/internal';

import { defaultDoorLimits } from '../../doors/door-limits.js';
import type { DoorSettings } from '../../doors/doors.js';
import { defaultPort } from '../../endpoint.js';
import type { TrustSettings } from '../../trust/authenticator.js';
import { readTokenLines, tokenFileBytesMax } from '../../trust/token-lines.js';
import { anonymousTenant } from '../../trust/tenant-name.js';
import { TokenTable } from '../../trust/tokens.js';
import type { ModelFit } from '../../pool/placement.js';
import { listBytesMax, readServerLists, type ServerList } from '../../pool/server-list.js';
import type { LogFormat } from '../../log/log.js';
import { endpointSchemes, readEndpoint } from '../../endpoint.js';
import { readListenSpec, type ListenSpec } from '../listen-spec.js';
import type { ModelControl } from '../models/model-control.js';
import { checkTlsMaterial, type TlsMaterial } from '../tls.js';
import { configBytesMax, readConfigFile, type ConfigFile, type PlaceKey } from './config-file.js';
import type { FileStates } from './file-watch.js';
import { SettingsFiles } from './settings-files.js';
import { tenancyOf } from './tenant-settings.js';

/** What a command line says; it goes before what the file says. */
export interface ServeOptions {
  /** Path of a config file. */
  readonly config?: string | undefined;
  readonly listen?: readonly string[] | undefined;
  readonly grpc?: readonly string[] | undefined;
  readonly http?: readonly string[] | undefined;
  readonly metrics?: readonly string[] | undefined;
  readonly modelControl?: ModelControl['mode'] | undefined;
  readonly insecure?: boolean | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly clientCa?: string | undefined;
  readonly tokens?: string | undefined;
  readonly models?: readonly string[] | undefined;
  readonly backends?: readonly string[] | undefined;
  /** As `--servers`: lists of the servers of a pool. */
  readonly servers?: readonly string[] | undefined;
  readonly fit?: ModelFit | undefined;
  readonly inProcess?: boolean | undefined;
  readonly sharedMemory?: number | undefined;
  readonly graceSeconds?: number | undefined;
  readonly systemSharedMemory?: boolean | undefined;
  readonly logFormat?: LogFormat | undefined;
  readonly accessLog?: boolean | undefined;
  readonly auditLog?: string | undefined;
  readonly usageLog?: string | undefined;
}

/** Everything that a server is to be, read and checked. */
export interface ServeSettings {
  readonly listen: readonly ListenSpec[];
  readonly doors: DoorSettings;
  readonly modelControl: ModelControl;
  readonly models: readonly string[];
  /** Servers whose devices are offered here. */
  readonly backends: readonly URL[];
  /** Servers that are offered here as one. */
  readonly servers: readonly URL[];
  /** Of these, as `href`, those that are to be emptied. */
  readonly drainedServers: ReadonlySet<string>;
  /** How their models are placed. */
  readonly fit: ModelFit;
  readonly inProcess: boolean;
  readonly hostHungSeconds: number | undefined;
  /** Of each connection, bytes; undefined: as the server has it. */
  readonly sharedMemory: number | undefined;
  readonly graceSeconds: number;
  readonly logFormat: LogFormat;
  readonly accessLog: boolean;
  /** Path of a file; undefined: none. */
  readonly auditLog: string | undefined;
  readonly usageLog: string | undefined;
  readonly trust: TrustSettings;
  readonly tls: TlsMaterial | undefined;
  /** That it was read from. */
  readonly files: FileStates;
}

/** That clients of Triton expect. */
const grpcPort = 8001;
const httpPort = 8000;
const metricsPort = 8002;
/** Whoever may open the socket of an operator who names no tenants is the operator. */
const defaultModelControl: ModelControl = {
  mode: 'none',
  load: [],
  pollMs: 15_000,
  tenants: [anonymousTenant],
};
const pemBytesMax = 1024 * 1024;
/** Some 100,000 certificates. */
const crlBytesMax = 8 * 1024 * 1024;
const defaultGraceSeconds = 30;
const writableByOthers = 0o022;

/**
 * Reads all files that settings come from, or fails as a whole.
 *
 * @throws AxleError saying which file or option is wrong, and how; never with what a secret file holds.
 */
export async function loadServeSettings(options: ServeOptions): Promise<ServeSettings> {
  const files = new SettingsFiles();
  const config = await configOf(options, files);
  const said = <K extends Exclude<keyof ServeOptions & keyof ConfigFile, 'modelControl'>>(key: K) =>
    options[key] ?? config[key];
  const paths = {
    ...{ certificate: said('certificate'), key: said('key'), clientCa: said('clientCa') },
    crl: config.crl,
  };
  const tokens = said('tokens');
  const placesOf = (key: PlaceKey, port: number) =>
    (said(key) ?? []).map((where) =>
      readListenSpec(where, said('insecure') ?? false, port, sourceOf(options, key, key)),
    );
  const { urls: servers, drained: drainedServers } = await serversOf(said('servers'), files);
  const settings: ServeSettings = {
    listen: placesOf('listen', defaultPort),
    doors: {
      grpc: placesOf('grpc', grpcPort),
      http: placesOf('http', httpPort),
      metrics: placesOf('metrics', metricsPort),
      systemSharedMemory: said('systemSharedMemory') ?? false,
      metricsTenants: config.metricsTenants ?? [anonymousTenant],
      operators: config.operators ?? [anonymousTenant],
      limits: { ...defaultDoorLimits, ...config.doorLimits },
    },
    modelControl: {
      ...defaultModelControl,
      ...config.modelControl,
      ...(options.modelControl !== undefined && { mode: options.modelControl }),
    },
    models: said('models') ?? [],
    backends: (said('backends') ?? []).map((url) =>
      readBackend(url, sourceOf(options, 'backends', 'backend')),
    ),
    ...{ servers, drainedServers },
    fit: said('fit') ?? 'worst',
    inProcess: said('inProcess') ?? false,
    hostHungSeconds: config.hostHungSeconds,
    sharedMemory: said('sharedMemory'),
    graceSeconds: said('graceSeconds') ?? defaultGraceSeconds,
    logFormat: said('logFormat') ?? 'text',
    accessLog: said('accessLog') ?? false,
    auditLog: said('auditLog'),
    usageLog: said('usageLog'),
    trust: {
      tenancy: tenancyOf(config),
      tokens: tokens === undefined ? undefined : await tokensOf(tokens, files),
    },
    tls: await tlsOf(paths, files),
    files: files.states,
  };
  checkThatClientsCanEnter(settings);
  checkWhatIsServed(settings);
  return settings;
}

/** What of a command line and a file said it, for messages. */
function sourceOf(options: ServeOptions, key: keyof ServeOptions, option: string): string {
  return options[key] === undefined ? `${key} in ${options.config ?? ''}` : `--${option}`;
}

function readBackend(text: string, source: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !endpointSchemes.has(url.protocol)) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `'${text}' (${source}) is no server to relay to; give axle+tls://HOST:PORT, axle://HOST:PORT or axle+unix:/PATH`,
    );
  }
  readEndpoint(url);
  return url;
}

async function serversOf(
  lists: readonly string[] | undefined,
  files: SettingsFiles,
): Promise<ServerList> {
  if (lists === undefined) return { urls: [], drained: new Set() };
  return readServerLists(lists, (path) => files.bytes(path, listBytesMax, 'the list of servers'));
}

function checkWhatIsServed({ backends, servers, inProcess }: ServeSettings): void {
  if (servers.length === 0 || (backends.length === 0 && !inProcess)) return;
  throw new AxleError(
    'INVALID_ARGUMENT',
    'a pool serves the devices of its servers and no others; leave out --backend and --in-process, or backends and inProcess',
  );
}

async function configOf({ config }: ServeOptions, files: SettingsFiles): Promise<ConfigFile> {
  if (config === undefined)
    return { doorLimits: {}, modelControl: {}, limits: {}, quotas: {}, tenants: new Map() };
  const text = await files.bytes(config, configBytesMax, 'the config file');
  return readConfigFile(text.toString('utf8'), config);
}

async function tokensOf(path: string, files: SettingsFiles): Promise<TokenTable> {
  const what = 'the file of tokens (axle token create makes one)';
  const text = await files.bytes(path, tokenFileBytesMax, what, writableByOthers);
  return new TokenTable(readTokenLines(text.toString('utf8'), path));
}

interface TlsPaths {
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly clientCa: string | undefined;
  readonly crl: string | undefined;
}

async function tlsOf(
  { certificate, key, clientCa, crl }: TlsPaths,
  files: SettingsFiles,
): Promise<TlsMaterial | undefined> {
  if (certificate === undefined && key === undefined && clientCa === undefined) return undefined;
  if (certificate === undefined || key === undefined) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      'TLS needs a certificate and its key; give both (--tls-cert and --tls-key, or tls in the config file)',
    );
  }
  if (crl !== undefined && clientCa === undefined) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      'a revocation list (tls.crl) is of the CA of clients; give that too (tls.clientCa)',
    );
  }
  const [certificatePem, keyPem, clientCaPem, crlPem] = await Promise.all([
    files.bytes(certificate, pemBytesMax, 'the certificate'),
    files.bytes(key, pemBytesMax, 'the key of the certificate'),
    clientCa === undefined ? undefined : files.bytes(clientCa, pemBytesMax, 'the CA of clients'),
    crl === undefined ? undefined : files.bytes(crl, crlBytesMax, 'the revocation list'),
  ]);
  const material = {
    ...{ certificate: certificatePem, key: keyPem },
    ...{ clientCa: clientCaPem, crl: crlPem },
  };
  checkTlsMaterial(material, Date.now());
  return material;
}

/** A server that nobody can enter, or anyone by mistake, does not start. */
function checkThatClientsCanEnter({ listen, doors, tls, trust }: ServeSettings): void {
  const served = [...listen, ...doors.grpc, ...doors.http];
  const all = [...served, ...doors.metrics];
  if (served.length === 0 && doors.metrics.length > 0) {
    throw new AxleError(
      'FAILED_PRECONDITION',
      'a server with a door for metrics alone has nothing to measure; add --listen, --grpc or --http',
    );
  }
  if (served.length === 0) {
    throw new AxleError(
      'FAILED_PRECONDITION',
      'nothing says where to listen; give --listen unix:PATH, --grpc or --http, or the same in the config file',
    );
  }
  for (const spec of all) {
    if (spec.kind === 'unix' || !spec.tls) continue;
    const where = `${spec.host}:${spec.port} (${spec.source})`;
    if (tls === undefined && spec.saysTls) {
      throw new AxleError(
        'FAILED_PRECONDITION',
        `TLS at ${where} takes a certificate and its key; give --tls-cert and --tls-key (axle ca dev makes some to try it ` +
          'out with)',
      );
    }
    if (tls === undefined) {
      throw new AxleError(
        'FAILED_PRECONDITION',
        `over TCP without TLS at ${where} anyone who can connect may use the devices and read what is sent; give ` +
          '--tls-cert and --tls-key, or say --insecure to allow it',
      );
    }
    if (spec.tenant === undefined && trust.tokens === undefined && tls.clientCa === undefined) {
      throw new AxleError(
        'FAILED_PRECONDITION',
        `nobody could prove who they are at ${where}; give --tokens or --tls-client-ca, or name the tenant that everyone ` +
          'is taken for: ,tenant=NAME',
      );
    }
  }
}
