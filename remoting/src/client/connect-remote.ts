import { connect as connectSocket, type Socket } from 'node:net';

import {
  AxleError,
  LocalClient,
  Runtime,
  Session,
  limitsWith,
  messageOf,
  type Client,
  type ConnectOptions,
} from '@axle/core/internal';

import { readEndpoint, type Endpoint } from '../endpoint.js';
import { RemoteBackend } from './remote-backend.js';

/** How long a server may take to answer the greeting, milliseconds. */
const connectMsMax = 10_000;
/** What core calls the devices of the server: 'remote/cpu-fallback:0'. */
const backendName = 'remote';

/**
 * A client of the server at `axle+unix:/PATH` or `axle://HOST:PORT`. Its calls run there, and nowhere else.
 *
 * @throws AxleError INVALID_ARGUMENT for a URL that names no server; UNAVAILABLE when none answers there.
 */
export async function connectRemote(url: URL, options: ConnectOptions): Promise<Client> {
  const limits = limitsWith(options.limits ?? {});
  const backend = await greeted(url);
  const { models = [] } = options;
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

/** @throws AxleError as `connectRemote`. */
export async function greeted(url: URL): Promise<RemoteBackend> {
  const socket = await dial(readEndpoint(url), url.href);
  const late = setTimeout(() => {
    socket.destroy(new Error(`no greeting within ${connectMsMax} ms`));
  }, connectMsMax);
  try {
    return await RemoteBackend.over(socket, backendName);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(late);
  }
}

function dial(endpoint: Endpoint, name: string): Promise<Socket> {
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
    socket.once('error', refused);
    socket.once('connect', () => {
      socket.off('error', refused);
      resolve(socket);
    });
  });
}
