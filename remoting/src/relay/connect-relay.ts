import {
  asAxleError,
  type AxleError,
  type Backend,
  type ConnectOptions,
} from '@axle/core/internal';

import { connectBackend, type BackendOptions } from '../client/connect-remote.js';
import { afterTurn } from '../connection/outbox.js';
import { LimitedLog } from '../log/limited-log.js';
import type { Log } from '../log/log.js';
import { RelayBackend } from './relay-backend.js';
import { serverLabels } from './server-label.js';
import { Upstreams, type UpstreamsOptions } from './upstreams.js';

/** Tenants for whom a relay finds out at its start whether it may act. */
const askedForMax = 64;

/** For the operator of a relay. */
export interface RelayWatch {
  /** Those that are known to come: it is said if the relay may not act for one. */
  readonly tenants: readonly string[];
  readonly log: Log;
}

/**
 * The devices of other servers, for the tenants of this one. `options` are of this one, whose credentials must be good
 * for acting for its tenants, unless there is but one tenant and it has the same name on both.
 *
 * @throws AxleError as `connectBackend`, of the first that cannot be reached.
 */
export async function connectRelays(
  urls: readonly URL[],
  options: ConnectOptions,
  watch: RelayWatch = { tenants: [], log: () => undefined },
): Promise<readonly Backend[]> {
  const labels = serverLabels(urls);
  const connecting = urls.map((url, i) => {
    const prefix = `${labels[i]}/`;
    const onChange = changeLog(url, watch);
    const backend = { name: url.href, naming: { prefix }, onChange };
    return connectRelay(url, options, backend, { hasNames: true });
  });
  const servers = await Promise.allSettled(connecting);
  const connected = servers.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failed = servers.find((each) => each.status === 'rejected');
  if (failed === undefined) {
    await Promise.all(connected.map((server, i) => warnOfRefusals(server, urls[i] as URL, watch)));
    return RelayBackend.allOf(connected);
  }
  await Promise.all(connected.map((server) => server.close()));
  throw failed.reason;
}

/** Of one server that is relayed to. */
export type RelayOptions = Pick<UpstreamsOptions, 'hasNames' | 'msMax'>;

/**
 * @throws AxleError as `connectBackend`.
 */
export function connectRelay(
  url: URL,
  options: ConnectOptions,
  backend: BackendOptions,
  relay: RelayOptions,
): Promise<Upstreams> {
  // One connection is enough to say how the server is.
  const quiet = { ...backend, onChange: undefined };
  return Upstreams.connect(
    (tenant) =>
      tenant === ''
        ? connectBackend(url, options, backend)
        : connectBackend(url, { ...options, tenant }, { ...quiet, soon: afterTurn }),
    { name: backend.name ?? url.href, ...relay },
  );
}

/** One that comes and goes all the time does not fill the log. */
function changeLog({ href }: URL, { log }: RelayWatch): (lostBy: AxleError | undefined) => void {
  const limited = new LimitedLog(log, () => performance.now());
  return (lostBy) => {
    if (lostBy === undefined) limited.add(`${href} is back`);
    else {
      limited.add(`lost ${href}: ${lostBy.message}; its devices are LOST until it is back`, {
        level: 'warn',
      });
    }
  };
}

async function warnOfRefusals(
  server: Upstreams,
  { href }: URL,
  { tenants, log }: RelayWatch,
): Promise<void> {
  const asked = tenants.slice(0, askedForMax).map(async (tenant) => {
    const refusal = await server.refusalOf(tenant);
    if (refusal === undefined) return;
    log(
      `${href} does not let this relay act for ${tenant} (${asAxleError(refusal).message}); there, make the relay's token ` +
        `with axle token create --may-act-for ${tenant}`,
    );
  });
  await Promise.all(asked);
}
