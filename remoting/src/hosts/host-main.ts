// A device host: a server with the devices of one plugin, for the server that started it and for nobody else. What tenants
// send is decoded, parsed and run here, so that what it breaks is this process.
import { readdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';

import { messageOf, Runtime } from '@axle/core/internal';

import { setUpServerHeap } from '../server/server-heap.js';
import { readListenSpec } from '../server/listen-spec.js';
import { Server } from '../server/server.js';
import { ResourceStore } from '../store/resource-store.js';
import { aliveName } from '../temporary-folder.js';
import type { TrustSettings } from '../trust/authenticator.js';
import { defaultServerLimits, quotaNames, type Quotas } from '../trust/quotas.js';
import { TokenTable, type TokenRecord } from '../trust/tokens.js';
import type { FromHost, HostSettings, TenantShare, TenantShares, ToHost } from './host-message.js';

/** Whoever started it holds tenants to their quotas. */
const unlimited = Object.fromEntries(
  quotaNames.map((name) => [name, Number.MAX_SAFE_INTEGER]),
) as unknown as Quotas;

/** Between a server and this host it is made for each tenant that comes by. */
const { sharedMemoryBytes } = defaultServerLimits();

let server: Server | undefined;
let runtime: Runtime | undefined;
let token: TokenRecord | undefined;
let places: Pick<HostSettings, 'store' | 'socket'> | undefined;
let isDismissed = false;

setUpServerHeap();
// A terminal or a service manager signals the whole group; the end of a host is when the server has no more use for it.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);
process.on('disconnect', () => {
  leaveNothing();
  if (isDismissed) process.exit();
  // The server has ended, and nobody waits for what is at work here: an exit would.
  process.kill(process.pid, 'SIGKILL');
});
process.on('message', (message: ToHost) => {
  if (message.kind === 'dismiss') {
    isDismissed = true;
    return;
  }
  if (message.kind === 'ping') {
    tell({ kind: 'pong' });
    return;
  }
  if (message.kind === 'waiting') {
    tell({ kind: 'waiting', byModel: Object.fromEntries(runtime?.waitingByModel ?? []) });
    return;
  }
  if (message.kind === 'shares') {
    if (token !== undefined) server?.update(trustOf(token, message.shares), undefined);
    return;
  }
  if (message.kind === 'unload') {
    runtime?.unloadModel({ source: message }).catch((error: unknown) => {
      process.stderr.write(`a model could not be unloaded: ${messageOf(error)}\n`);
    });
    return;
  }
  start(message.settings).then(tell, (error: unknown) => {
    tell({ kind: 'failed', message: messageOf(error) });
  });
});

async function start(settings: HostSettings): Promise<FromHost> {
  const { plugin, decodesImages, socket, models, store: folder, storeBytes, limits } = settings;
  const { device, shares } = settings;
  ({ token } = settings);
  places = settings;
  runtime = await Runtime.start({
    plugins: [device === undefined ? plugin : { ...plugin, device }],
    decodesImages,
    loadsAhead: true,
    models,
    limits,
  });
  const store = await ResourceStore.open({
    folder,
    // What a host has, its server has too.
    isTemporary: true,
    bytesMax: storeBytes,
    lender: settings.lender,
    limitsOf: () => unlimited,
  });
  server = await Server.start({
    runtime,
    listen: [readListenSpec(`unix:${socket}`, false)],
    limits,
    trust: trustOf(token, shares),
    tls: undefined,
    sharesPublic: true,
    store,
    log: (line) => process.stderr.write(`${line}\n`),
    // The server that has the request tells of it.
    loggedRequests: 'none',
  });
  const [unavailable] = runtime.registry.unavailable;
  const { devices } = runtime.registry;
  const own = devices.filter(({ backend }) => backend !== 'host').length;
  return { kind: 'up', devices: own, unavailable: unavailable?.reason };
}

function trustOf(record: TokenRecord, { others, named }: TenantShares): TrustSettings {
  const tenantOf = (share: TenantShare) => ({ ...share, disabled: false, quotas: unlimited });
  return {
    tenancy: {
      limits: { ...unlimited, sharedMemoryBytes },
      others: tenantOf(others),
      named: new Map(Object.entries(named).map(([name, share]) => [name, tenantOf(share)])),
    },
    tokens: new TokenTable([record]),
  };
}

/** Where the server was killed, nobody else takes these away. */
function leaveNothing(): void {
  if (places === undefined) return;
  rmSync(places.store, { recursive: true, force: true });
  rmSync(places.socket, { force: true });
  const folder = dirname(places.socket);
  try {
    // Another host may have something in it still.
    const isEmpty = readdirSync(folder).every((name) => name === aliveName);
    if (isEmpty) rmSync(folder, { recursive: true, force: true });
  } catch {
    // Whoever was quicker has taken it away.
  }
}

function tell(message: FromHost): void {
  process.send?.(message);
}
