import {
  AxleError,
  LocalClient,
  Runtime,
  Session,
  limitsWith,
  type Client,
  type ConnectOptions,
} from '@axle/core/internal';

import { readEndpoint } from '../endpoint.js';
import { readCredentials } from './credentials.js';
import { dial } from './dial.js';
import { RemoteBackend } from './remote-backend.js';

/** How long a server may take to answer the greeting, milliseconds. */
const connectMsMax = 10_000;
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
  const backend = await greeted(url, options);
  const { models = [] } = options;
  const runtime = await Runtime.start({
    plugins: [],
    decodesImages: false,
    backends: [backend],
    models: typeof models === 'string' ? [models] : models,
    limits,
  });
  return new LocalClient(new Session(runtime, 'local', 1, limits), () => runtime.close());
}

async function greeted(url: URL, options: ConnectOptions): Promise<RemoteBackend> {
  const endpoint = readEndpoint(url);
  const { hello, tls } = await readCredentials(options, endpoint);
  const socket = await dial(endpoint, tls, url.href);
  const late = setTimeout(() => {
    socket.destroy(new Error(`no greeting within ${connectMsMax} ms`));
  }, connectMsMax);
  try {
    return await RemoteBackend.over(socket, backendName, hello);
  } catch (error) {
    socket.destroy();
    throw endpoint.kind === 'tcp' ? withTlsHint(error, url.href) : error;
  } finally {
    clearTimeout(late);
  }
}

/** A server with TLS hangs up on who greets it without. */
function withTlsHint(error: unknown, name: string): unknown {
  if (!(error instanceof AxleError) || error.code !== 'UNAVAILABLE') return error;
  return new AxleError(
    'UNAVAILABLE',
    `${name} did not answer the greeting (${error.message}); if it is a server with TLS, connect with axle+tls:`,
    { cause: error },
  );
}
