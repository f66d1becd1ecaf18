import { once } from 'node:events';
import { delimiter } from 'node:path';

import { Option, type Command } from 'commander';
import type { LogFormat, ResourceStore, TemporaryFolder } from '@axle/remoting';

import { UsageError } from '../failure.js';
import {
  addModelsOption,
  addPluginsOption,
  byteCount,
  wholeNumber,
  type ModelsOption,
  type PluginsOption,
} from '../options.js';
import { printable } from '../printable.js';
import { ServedDevices } from '../served-devices.js';
import type { CommandContext } from '../session.js';
import { print } from '../standard-output.js';

/** Tenants whose whole share of a device's queue finds room at a time. */
const fullQueuesMax = 4;
const graceSecondsMax = 3600;
const msPerSecond = 1000;
/** After the grace, for ending device hosts and taking files away. */
const cleanUpSeconds = 5;
/** How often the files that settings come from are looked at. */
const pollMs = 1000;

interface ServeCommandOptions extends ModelsOption, PluginsOption {
  readonly listen?: string[];
  readonly grpc?: string[];
  readonly http?: string[];
  readonly metrics?: string[];
  readonly modelControl?: 'none' | 'explicit' | 'poll';
  readonly config?: string;
  readonly insecure?: true;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  readonly tokens?: string;
  readonly store?: string;
  readonly storeBytes?: number;
  readonly grace?: number;
  readonly alternate?: string;
  readonly backend?: string[];
  readonly inProcess?: true;
  readonly sharedMemory?: number;
  readonly systemSharedMemory?: true;
  readonly logFormat?: LogFormat;
  readonly accessLog?: true;
}

export function addServeCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('serve')
    .description("let other processes use this machine's devices")
    .option(
      '--listen <where>',
      'unix:PATH[,mode=0600][,tenant=NAME], vsock-unix:PREFIX:PORT, tls:HOST:PORT or tcp:HOST:PORT; may be repeated',
      oneMore,
    )
    .option('--grpc <where>', 'the same for clients of gRPC, such as those of KServe v2', oneMore)
    .option('--http <where>', 'the same for the REST API of KServe v2', oneMore)
    .option(
      '--metrics <where>',
      'the same for Prometheus, which asks for /metrics; beside one of those above',
      oneMore,
    )
    .addOption(
      new Option(
        '--model-control <mode>',
        'models of --models: as they are at the first call, loaded by name, or as the folders change (default: none)',
      ).choices(['none', 'explicit', 'poll']),
    )
    .option('--config <file>', 'settings in JSON (docs/serving.md); options here go before them')
    .option('--tls-cert <file>', 'certificate of this server, PEM; tcp: then means TLS too')
    .option('--tls-key <file>', 'its key, PEM')
    .option('--tls-client-ca <file>', 'CA that signs the certificates of tenants, PEM')
    .addOption(
      new Option('--tokens <file>', 'tokens of tenants, made by axle token').env('AXLE_TOKENS'),
    )
    .option('--insecure', 'tcp: without TLS: whoever can connect may listen in')
    .option(
      '--store <dir>',
      'keep the models that clients send here; by default in a temporary folder, until the server stops',
    )
    .option('--store-bytes <bytes>', 'most that they may take together (default: 64G)', byteCount)
    .option(
      '--backend <url>',
      'offer the devices of this server instead of those of this machine, for each tenant over a connection of its own; may ' +
        'be repeated',
      (url: string, before: string[] | undefined) => [...(before ?? []), url],
    )
    .option(
      '--in-process',
      'open devices in this process: calls are quicker, and a plugin that crashes ends the server',
    )
    .option(
      '--grace <seconds>',
      'when stopped, time to answer what was accepted (default: 30)',
      wholeNumber(0, graceSecondsMax),
    )
    .option(
      '--alternate <endpoint>',
      'when stopped, send clients to this server, such as axle+unix:/run/other.sock, if they allow it',
    )
    .option(
      '--shared-memory <bytes>',
      'memory that each client on a unix socket may share, such as 64M; 0 = none (default: 256M)',
      sharedMemoryBytes,
    )
    .option(
      '--system-shared-memory',
      'standard clients on unix sockets may name shared memory of this machine (docs/doors.md)',
    )
    .addOption(
      new Option(
        '--log-format <format>',
        'what it tells on stderr: lines for people, or objects of JSON (default: text)',
      ).choices(['text', 'json']),
    )
    .option('--access-log', 'tell of each request; otherwise of those that fail, a few in a while')
    .action((options: ServeCommandOptions) => serve(options, context));
  addPluginsOption(addModelsOption(command)).addHelpText(
    'after',
    `
A first SIGTERM or Ctrl-C takes nothing new, answers what was accepted, and ends with 0; a second one ends at once.
SIGHUP, or a change of the files, reads certificates, tokens and quotas again, and drops no connection for it.

Examples:
  $ axle serve --listen unix:/run/axle.sock
  $ AXLE_ENDPOINT=axle+unix:/run/axle.sock axle devices
  $ axle serve --listen tls:0.0.0.0:7471 --tls-cert server.crt --tls-key server.key --tokens tokens.jsonl`,
  );
}

/** As other sizes, but for none. */
function sharedMemoryBytes(text: string): number {
  return text === '0' ? 0 : byteCount(text);
}

function oneMore(where: string, before: string[] | undefined): string[] {
  return [...(before ?? []), where];
}

async function serve(
  options: ServeCommandOptions,
  { interruption }: CommandContext,
): Promise<void> {
  const { listen: places, grpc, http, metrics } = options;
  if ([places, grpc, http, metrics, options.config].every((each) => each === undefined)) {
    throw new UsageError('say where with --listen, such as --listen unix:/run/axle.sock');
  }
  const { defaultStoreBytesMax, ResourceStore, Server, SettingsSource, TemporaryFolder } =
    await import('@axle/remoting');
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
      sharedMemory: options.sharedMemory,
      graceSeconds: options.grace,
      systemSharedMemory: options.systemSharedMemory,
      logFormat: options.logFormat,
      accessLog: options.accessLog,
    },
    pollMs,
    log,
  );
  const { settings } = source;
  serverLog.format = settings.logFormat;
  const { cpuPlugin, shippedModels, traceWhereSdkIsRegistered } = await import('axle');
  await traceWhereSdkIsRegistered();
  // prom-client is loaded by those who want it.
  const { enableMetrics } = settings.doors.metrics.length === 0 ? {} : await import('axle/metrics');
  const { limitsWith } = await import('@axle/core/internal');
  const { tenantQueueDepth } = settings;
  const limits = limitsWith({
    tenantQueueDepthMax: tenantQueueDepth,
    queueDepthMax: fullQueuesMax * tenantQueueDepth,
  });
  const own = settings.backends.length === 0 ? [cpuPlugin] : [];
  const { storeBytes = defaultStoreBytesMax } = options;
  const devices = await ServedDevices.open({
    settings,
    plugins: [...own, ...(options.plugin ?? [])],
    models: [...foldersOf(settings.models), shippedModels],
    storeBytes,
    limits,
    log,
  });
  const { runtime } = devices;
  let temporary: TemporaryFolder | undefined;
  let store: ResourceStore | undefined;
  try {
    if (options.store === undefined) temporary = await TemporaryFolder.make('axle-store-');
    store = await ResourceStore.open({
      folder: options.store ?? temporary?.path ?? '',
      isTemporary: temporary !== undefined,
      bytesMax: storeBytes,
      limitsOf: (tenant) => {
        const { named, others } = source.settings.trust.tenancy;
        return (named.get(tenant) ?? others).quotas;
      },
      wholeLimits: () => source.settings.trust.tenancy.limits,
    });
    const { listen, doors, modelControl, trust, tls } = settings;
    const { alternate } = options;
    const server = await Server.start({
      ...{ runtime, store, listen, doors, modelControl, limits, trust, tls, log },
      ...{ alternate, arenaBytes: settings.sharedMemory },
      loggedRequests: settings.accessLog ? 'all' : 'failures',
      hostRestarts: () => devices.hostRestarts,
      addMetrics: enableMetrics,
    });
    interruption.drainWithin((settings.graceSeconds + cleanUpSeconds) * msPerSecond);
    interruption.onHangup(() => void source.reload());
    source.onChange((changed) => {
      server.update(changed.trust, changed.tls);
      devices.update(changed);
    });
    for (const endpoint of server.endpoints) await print(`listening on ${printable(endpoint)}\n`);
    for (const { kind, endpoint } of server.doorPlaces) {
      // Of the others, the URL says it.
      const told = kind === 'metrics' ? ' (metrics)' : '';
      await print(`listening on ${printable(endpoint)}${told}\n`);
    }
    await aborted(interruption.signal);
    source.close();
    await server.close(settings.graceSeconds * msPerSecond);
  } finally {
    await devices.close();
    await store?.close();
    await temporary?.close();
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
