import { once } from 'node:events';
import { delimiter } from 'node:path';

import { UsageError } from '../failure.js';
import { printable } from '../printable.js';
import { RunningServer } from '../running-server.js';
import type { CommandContext } from '../session.js';
import { print } from '../standard-output.js';
import { checkModelFolders } from './model-folders.js';
import type { ServeCommandOptions } from './serve-options.js';

const msPerSecond = 1000;
/** After the grace, for ending device hosts and taking files away. */
const cleanUpSeconds = 5;
/** How often the files that settings come from are looked at. */
const pollMs = 1000;

/** Serves until it is told to stop. */
export async function serve(
  options: ServeCommandOptions,
  { interruption }: CommandContext,
  what: 'devices' | 'pool',
): Promise<void> {
  const { listen: places, grpc, http, metrics } = options;
  if ([places, grpc, http, metrics, options.config].every((each) => each === undefined)) {
    throw new UsageError('say where with --listen, such as --listen unix:/run/axle.sock');
  }
  const { setUpServerHeap, SettingsSource } = await import('@axle/remoting');
  setUpServerHeap();
  const { ServerLog } = await import('../server-log.js');
  const serverLog = new ServerLog(options.logFormat ?? 'text');
  const log = serverLog.write;
  const source = await SettingsSource.open(
    {
      config: options.config,
      listen: places,
      grpc,
      http,
      metrics,
      modelControl: options.modelControl,
      insecure: options.insecure,
      certificate: options.tlsCert,
      key: options.tlsKey,
      clientCa: options.tlsClientCa,
      tokens: options.tokens,
      models: options.models,
      backends: options.backend,
      inProcess: options.inProcess,
      servers: options.servers,
      fit: options.fit,
      sharedMemory: options.sharedMemory,
      graceSeconds: options.grace,
      systemSharedMemory: options.systemSharedMemory,
      logFormat: options.logFormat,
      accessLog: options.accessLog,
      auditLog: options.auditLog,
      usageLog: options.usageLog,
    },
    pollMs,
    log,
  );
  const { settings } = source;
  if (what === 'pool' && settings.servers.length === 0) {
    throw new UsageError(
      'say of which servers with --servers, such as --servers axle+tls://gpu1:7471,axle+tls://gpu2:7471',
    );
  }
  serverLog.format = settings.logFormat;
  const folders = foldersOf(settings.models);
  await checkModelFolders(folders, "--models, AXLE_MODELS or 'models'");
  const { cpuPlugin, shippedModels, traceWhereSdkIsRegistered } = await import('axle');
  await traceWhereSdkIsRegistered();
  const isForOthers = settings.backends.length > 0 || settings.servers.length > 0;
  const own = isForOthers ? [] : [cpuPlugin];
  const server = await RunningServer.start({
    source,
    plugins: [...own, ...(options.plugin ?? [])],
    models: [...folders, shippedModels],
    store: options.store,
    storeBytes: options.storeBytes,
    alternate: options.alternate,
    log,
  });
  try {
    interruption.drainWithin((settings.graceSeconds + cleanUpSeconds) * msPerSecond);
    interruption.onHangup(() => void source.reload());
    for (const endpoint of server.endpoints) await print(`listening on ${printable(endpoint)}\n`);
    for (const { kind, endpoint } of server.doorPlaces) {
      // Of the others, the URL says it.
      const told = kind === 'metrics' ? ' (metrics)' : '';
      await print(`listening on ${printable(endpoint)}${told}\n`);
    }
    await aborted(interruption.signal);
  } finally {
    await server.close(settings.graceSeconds * msPerSecond);
  }
}

function foldersOf(said: readonly string[]): readonly string[] {
  const { AXLE_MODELS: folders = '' } = process.env;
  const all = said.length > 0 ? said : folders.split(delimiter);
  return all.filter((folder) => folder !== '');
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
