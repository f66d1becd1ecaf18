import { stat } from 'node:fs/promises';

import {
  limitsWith,
  LocalClient,
  messageOf,
  Runtime,
  Session,
  type Client,
  type ConnectOptions,
} from '@axle/core/internal';

import { FileWatch, fileState } from '../server/settings/file-watch.js';
import { PoolBackend, poolLimits } from './pool-backend.js';
import { listPathOf, readPoolUrl, readServerFile } from './server-list.js';

/** How often a file of servers is looked at, milliseconds. */
const listPollMs = 1000;

/**
 * A client of the servers that `axle+pool:` names: each call goes straight to the one that should be done with it soonest,
 * and elsewhere when that one is lost.
 *
 * @throws AxleError as `readPoolUrl` and `PoolBackend.connect`.
 */
export async function connectPool(url: URL, options: ConnectOptions): Promise<Client> {
  const limits = limitsWith(options.limits ?? {});
  const { models = [] } = options;
  const path = listPathOf(url);
  // As it is now: what changes while it is read is noticed.
  const before = path === '' ? undefined : await stateOf(path);
  const { urls: servers, drained } = await readPoolUrl(url);
  const backend = await PoolBackend.connect({ servers, drained, connect: options });
  const runtime = await Runtime.start({
    plugins: [],
    decodesImages: false,
    backends: [backend],
    models: typeof models === 'string' ? [models] : models,
    catalogue: backend.catalogue,
    limits: poolLimits(limits, servers),
  });
  const watch = before === undefined ? undefined : watchList(path, before, backend);
  return new LocalClient(new Session(runtime, 'local', 1, limits), async () => {
    watch?.close();
    await runtime.close();
  });
}

/** A list that cannot be read, or is none, leaves the pool as it is: another one may be there in a moment. */
function watchList(path: string, before: string, backend: PoolBackend): FileWatch {
  const read = async () => {
    const { urls, drained } = await readServerFile(path);
    backend.setServers(urls, drained);
  };
  return new FileWatch(new Map([[path, before]]), listPollMs, () => {
    read().catch((error: unknown) => {
      process.emitWarning(
        `the list of servers is not taken over: ${messageOf(error)}`,
        'AxleWarning',
      );
    });
  });
}

async function stateOf(path: string): Promise<string> {
  return stat(path).then(fileState, () => 'unseen');
}
