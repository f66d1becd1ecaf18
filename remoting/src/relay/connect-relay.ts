import type { Backend, ConnectOptions } from '@axle/core/internal';

import { connectBackend, type BackendOptions } from '../client/connect-remote.js';
import { RelayBackend } from './relay-backend.js';
import { serverLabels } from './server-label.js';
import { Upstreams } from './upstreams.js';

/**
 * The devices of other servers, for the tenants of this one. `options` are of this one, whose credentials must be good
 * for acting for its tenants, unless there is but one tenant and it has the same name on both.
 *
 * @throws AxleError as `connectBackend`, of the first that cannot be reached.
 */
export async function connectRelays(
  urls: readonly URL[],
  options: ConnectOptions,
): Promise<readonly Backend[]> {
  const labels = serverLabels(urls);
  const connecting = urls.map((url, i) => {
    const prefix = `${labels[i]}/`;
    return connectRelay(url, options, { name: url.href, naming: { prefix } });
  });
  const servers = await Promise.allSettled(connecting);
  const connected = servers.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failed = servers.find((each) => each.status === 'rejected');
  if (failed === undefined) return RelayBackend.allOf(connected);
  await Promise.all(connected.map((server) => server.close()));
  throw failed.reason;
}

/** @throws AxleError as `connectBackend`. */
export function connectRelay(
  url: URL,
  options: ConnectOptions,
  backend: BackendOptions,
): Promise<Upstreams> {
  return Upstreams.connect((tenant) =>
    connectBackend(url, tenant === '' ? options : { ...options, tenant }, backend),
  );
}
