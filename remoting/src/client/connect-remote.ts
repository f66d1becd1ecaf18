import { connect as connectSocket, type Socket } from 'node:net';

import {
  argumentError,
  AxleError,
  LocalClient,
  Runtime,
  Session,
  limitsWith,
  messageOf,
  type Client,
  type ConnectOptions,
  type ReconnectOptions,
} from '@axle/core/internal';

import { readEndpoint } from '../endpoint.js';
import { readAlternates } from './alternate.js';
import { RemoteBackend } from './remote-backend.js';

/** What core calls the devices of the server: 'remote/cpu-fallback:0'. */
const backendName = 'remote';

/**
 * A client of the server at `axle+unix:/PATH` or `axle://HOST:PORT`. Its calls run there, and nowhere else.
 *
 * @throws AxleError INVALID_ARGUMENT for a URL that names no server; UNAVAILABLE when none answers there.
 */
export async function connectRemote(url: URL, options: ConnectOptions): Promise<Client> {
  const limits = limitsWith(options.limits ?? {});
  const { models = [], reconnect = {} } = options;
  const backend = await connectBackend(url, reconnect);
  const runtime = await Runtime.start({
    plugins: [],
    decodesImages: false,
    backends: [backend],
    models: typeof models === 'string' ? [models] : models,
    limits,
  });
  return new LocalClient(new Session(runtime, 'local', 1, limits), () => runtime.close());
}

/**
 * A server as a backend for a runtime.
 *
 * @throws as `connectRemote`.
 */
export function connectBackend(url: URL, reconnect: ReconnectOptions): Promise<RemoteBackend> {
  checkReconnect(reconnect);
  const { timeoutMs, alternates = [] } = reconnect;
  const options = { url, dial, timeoutMs, alternates: readAlternates(alternates) };
  return RemoteBackend.connect(options, backendName);
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

/** @throws AxleError UNAVAILABLE when no server answers there, or `signal` is aborted before. */
function dial(url: URL, signal: AbortSignal): Promise<Socket> {
  const endpoint = readEndpoint(url);
  const name = url.href;
  if (endpoint.kind === 'tls') {
    throw new AxleError('UNIMPLEMENTED', `${name}: this version does not speak TLS yet`);
  }
  const socket = connectSocket(endpoint.kind === 'unix' ? { path: endpoint.path } : endpoint);
  if (endpoint.kind === 'tcp') socket.setNoDelay(true);
  return new Promise((resolve, reject) => {
    const refused = (error: Error) => {
      reject(
        new AxleError(
          'UNAVAILABLE',
          `no server answers at ${name} (${messageOf(error)}); start one with axle serve`,
          { cause: error },
        ),
      );
    };
    const late = () => socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', late);
    socket.once('error', refused);
    socket.once('connect', () => {
      signal.removeEventListener('abort', late);
      socket.off('error', refused);
      resolve(socket);
    });
  });
}
