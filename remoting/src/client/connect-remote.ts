import {
  argumentError,
  AxleError,
  LocalClient,
  Runtime,
  Session,
  limitsWith,
  type Client,
  type ConnectOptions,
  type ReconnectOptions,
} from '@axle/core/internal';

import { readEndpoint } from '../endpoint.js';
import { readAlternates } from './alternate.js';
import { readCredentials } from './credentials.js';
import type { DeviceNaming } from './description.js';
import { dial } from './dial.js';
import { fetchArenaFrom } from './fetch-arena.js';
import { RemoteBackend } from './remote-backend.js';
import type { Soon } from '../connection/outbox.js';
import type { ConnectionTimes } from '../connection/times.js';
import type { ConnectionListener, Dialled } from './remote-session.js';

/** What core calls the devices of the server: 'remote/cpu-fallback:0'. */
const backendName = 'remote';

/**
 * A client of the server at `axle+unix:/PATH`, `axle+tls://HOST:PORT` or `axle://HOST:PORT`. Its calls run there, and
 * nowhere else.
 *
 * @throws AxleError INVALID_ARGUMENT for a URL that names no server; UNAVAILABLE when none answers there;
 * UNAUTHENTICATED when either side does not trust the other's credentials.
 */
export async function connectRemote(url: URL, options: ConnectOptions): Promise<Client> {
  const limits = limitsWith(options.limits ?? {});
  const { models = [] } = options;
  const backend = await connectBackend(url, options);
  const runtime = await Runtime.start({
    plugins: [],
    decodesImages: false,
    backends: [backend],
    models: typeof models === 'string' ? [models] : models,
    catalogue: backend.catalogue,
    limits,
  });
  return new LocalClient(new Session(runtime, 'local', 1, limits), () => runtime.close());
}

/** How a server is known to the runtime that it is a backend of. */
export interface BackendOptions {
  readonly name?: string;
  readonly naming?: DeviceNaming;
  /** Awaited before each try to reach it. @throws as it cannot be reached. */
  readonly whenUp?: (signal: AbortSignal) => Promise<void>;
  readonly onChange?: ConnectionListener | undefined;
  /** How long the connection waits for the server; default those of the protocol. */
  readonly times?: ConnectionTimes | undefined;
  /** When what was sent is written; default: after the caller. */
  readonly soon?: Soon | undefined;
}

/**
 * A server as a backend for a runtime.
 *
 * @throws as `connectRemote`.
 */
export async function connectBackend(
  url: URL,
  options: ConnectOptions,
  { name = backendName, naming, whenUp, onChange, times, soon }: BackendOptions = {},
): Promise<RemoteBackend> {
  const { reconnect = {} } = options;
  checkReconnect(reconnect);
  const { timeoutMs, alternates = [] } = reconnect;
  const session = {
    url,
    dial: async (to: URL, signal: AbortSignal) => {
      await whenUp?.(signal);
      return open(to, options, signal);
    },
    timeoutMs,
    alternates: readAlternates(alternates),
    onChange,
    times,
    soon,
  };
  try {
    return await RemoteBackend.connect(session, name, naming);
  } catch (error) {
    throw readEndpoint(url).kind === 'tcp' ? withTlsHint(error, url.href) : error;
  }
}

async function open(url: URL, options: ConnectOptions, signal: AbortSignal): Promise<Dialled> {
  const endpoint = readEndpoint(url);
  const { hello, tls } = await readCredentials(options, endpoint);
  const stream = await dial(endpoint, tls, url.href, signal);
  const fetchArena = endpoint.kind === 'unix' ? fetchArenaFrom(endpoint.path) : undefined;
  return { stream, credentials: hello, fetchArena };
}

/** A server with TLS hangs up on who greets it without. */
function withTlsHint(error: unknown, name: string): unknown {
  if (!(error instanceof AxleError) || error.code !== 'UNAVAILABLE') return error;
  if (error.message.startsWith('no server answers')) return error;
  return new AxleError(
    'UNAVAILABLE',
    `${name} did not answer the greeting (${error.message}); if it is a server with TLS, connect with axle+tls:`,
    { cause: error },
  );
}

/** Callers in plain JavaScript have no types to tell them. */
function checkReconnect({ timeoutMs, alternates }: ReconnectOptions): void {
  if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0)) {
    throw argumentError("'timeoutMs' of 'reconnect'", timeoutMs, 'milliseconds, from 0 up');
  }
  if (alternates !== undefined && !Array.isArray(alternates)) {
    throw argumentError("'alternates' of 'reconnect'", alternates, 'an array of URLs');
  }
}
