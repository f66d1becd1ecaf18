import { argumentError } from './argument-error.js';
import type { Client } from './client.js';
import { AxleError } from './errors.js';
import { knownOptions, refuseUnknownOptions } from './known-options.js';
import { limitsWith, type Limits } from './limits.js';
import { LocalClient } from './local-client.js';
import type { PluginSpec } from './plugin-spec.js';
import { Runtime } from './runtime.js';
import { Session } from './session.js';

export interface ConnectOptions {
  /** Repository folders in Triton's layout; a model name is looked up in them in order. */
  readonly models?: string | readonly string[] | undefined;
  /** Plugins of this process, beside those that the package brings. */
  readonly plugins?: readonly PluginSpec[] | undefined;
  readonly limits?: Partial<Limits> | undefined;
  /** Of a server: who is asking. Default: the environment's `AXLE_TOKEN`, or the file that `AXLE_TOKEN_FILE` names. */
  readonly token?: string | undefined;
  /** Of a server: for whom, where the credentials may act for others, as those of a relay. */
  readonly tenant?: string | undefined;
  /** Of a server at `axle+tls:`. */
  readonly tls?: ClientTlsOptions | undefined;
  /** Of servers: what to do when the connection is lost. */
  readonly reconnect?: ReconnectOptions | undefined;
}

/** A string or URL is the path of a PEM file, anything else is PEM itself. A server is always checked. */
export interface ClientTlsOptions {
  /** Who signs the server's certificate. Default `AXLE_TLS_CA`, else the authorities that Node knows. */
  readonly ca?: string | URL | Uint8Array | undefined;
  /** The client's own certificate, which names its tenant. Default `AXLE_TLS_CERT`. */
  readonly cert?: string | URL | Uint8Array | undefined;
  /** Its key. Default `AXLE_TLS_KEY`. */
  readonly key?: string | URL | Uint8Array | undefined;
  /** The name that the server's certificate must be for, where it is not the host of the URL. */
  readonly serverName?: string | undefined;
}

export interface ReconnectOptions {
  /**
   * How long calls wait for a lost connection to come back, milliseconds; default 30,000. After it they fail, and the
   * next call tries again. 0: they fail at once.
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Endpoints, as URLs, that a server which leaves may send this client to; default none. One that protects less than
   * the connection before is passed over.
   */
  readonly alternates?: readonly string[] | undefined;
}

/** Makes a client for URLs of one scheme. */
export type Connector = (url: URL, options: ConnectOptions) => Promise<Client>;

const connectors = new Map<string, Connector>();

/** Lets `connect` open URLs of another scheme, given without the colon. */
export function registerScheme(scheme: string, connector: Connector): void {
  connectors.set(`${scheme}:`, connector);
}

/**
 * Connects to whatever a URL names.
 *
 * @throws AxleError INVALID_ARGUMENT for a URL that no connector knows, and for an option that there is not; otherwise as
 * the connector says.
 */
export async function connectTo(target: string | URL, options: ConnectOptions): Promise<Client> {
  checkNames(options);
  const url = URL.canParse(String(target)) ? new URL(target) : undefined;
  const connector = url && connectors.get(url.protocol);
  if (url !== undefined && connector !== undefined) return connector(url, options);
  // Without what may be a secret.
  const shown = String(target).replace(/\/\/.*@/, '//');
  const isAddress = url === undefined && connectors.has(/^[^:]*:/.exec(shown)?.[0] ?? '');
  const why = isAddress
    ? 'its host or port is wrong; ports go up to 65535'
    : `URLs start with ${[...connectors.keys()].join(' or ')}`;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `cannot connect to '${shown}' (given, or from AXLE_ENDPOINT); ${why}`,
  );
}

/** A client with a runtime of its own in this process. */
export async function connectLocal(options: ConnectOptions): Promise<Client> {
  checkConnectOptions(options);
  const limits = limitsWith(options.limits === undefined ? {} : options.limits);
  const { models = [], plugins = [] } = options;
  const folders = typeof models === 'string' ? [models] : models;
  const runtime = await Runtime.start({ plugins, models: folders, limits });
  return new LocalClient(new Session(runtime, 'local', 1, limits), () => runtime.close());
}

function checkNames(options: ConnectOptions): void {
  refuseUnknownOptions(options, knownOptions.connect, 'connect');
  for (const part of ['tls', 'reconnect'] as const) {
    const its: unknown = options[part];
    if (its === undefined) continue;
    if (!isRecord(its))
      throw argumentError(`'${part}'`, its, 'an object of its options, or nothing');
    refuseUnknownOptions(its, knownOptions[part], `'${part}'`);
  }
}

/** Callers in plain JavaScript have no types to tell them. */
function checkConnectOptions({ models = [], plugins = [] }: ConnectOptions): void {
  const folders = typeof models === 'string' ? [models] : models;
  if (!Array.isArray(folders) || folders.some((folder) => typeof folder !== 'string')) {
    throw new AxleError('INVALID_ARGUMENT', "'models' is a folder or an array of folders");
  }
  if (!Array.isArray(plugins)) throw argumentError("'plugins'", plugins, pluginsWanted);
  plugins.forEach(checkPluginSpec);
}

const pluginsWanted = 'an array of {name, path, options}';

function checkPluginSpec(spec: unknown): void {
  if (!isRecord(spec)) throw argumentError("one of 'plugins'", spec, '{name, path, options}');
  const { name, path, options = {}, device } = spec;
  if (typeof name !== 'string' || name === '') {
    throw argumentError("'name' of one of 'plugins'", name, 'what messages call it, as a string');
  }
  const of = `of the plugin '${name}'`;
  if (typeof path !== 'string' || path === '') {
    throw argumentError(`'path' ${of}`, path, 'the absolute path of its shared library');
  }
  refuseUnknownOptions(spec, knownOptions.plugin, `the plugin '${name}'`);
  if (device !== undefined && !(Number.isSafeInteger(device) && (device as number) >= 0)) {
    throw argumentError(`'device' ${of}`, device, 'the number of one of its devices, from 0 up');
  }
  if (!isRecord(options)) {
    throw argumentError(`'options' ${of}`, options, 'an object of strings, or nothing');
  }
  for (const [key, value] of Object.entries(options)) {
    if (typeof value !== 'string') throw argumentError(`option '${key}' ${of}`, value, 'a string');
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
