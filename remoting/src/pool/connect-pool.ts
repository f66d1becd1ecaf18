import {
  limitsWith,
  LocalClient,
  Runtime,
  Session,
  type Client,
  type ConnectOptions,
} from '@axle/core/internal';

import { PoolBackend, poolLimits } from './pool-backend.js';
import { readPoolUrl } from './server-list.js';

/**
 * A client of the servers that `axle+pool:` names: each call goes straight to the one that should be done with it soonest,
 * and elsewhere when that one is lost.
 *
 * @throws AxleError as `readPoolUrl` and `PoolBackend.connect`.
 */
export async function connectPool(url: URL, options: ConnectOptions): Promise<Client> {
  const limits = limitsWith(options.limits ?? {});
  const { models = [] } = options;
  const servers = await readPoolUrl(url);
  const backend = await PoolBackend.connect({ servers, connect: options });
  const runtime = await Runtime.start({
    plugins: [],
    decodesImages: false,
    backends: [backend],
    models: typeof models === 'string' ? [models] : models,
    catalogue: backend.catalogue,
    limits: poolLimits(limits, servers),
  });
  return new LocalClient(new Session(runtime, 'local', 1, limits), () => runtime.close());
}
