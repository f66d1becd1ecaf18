import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { delimiter } from 'node:path';

import { Option, type Command } from 'commander';
import type { LogFormat } from '@axle/remoting';

import { fileFailure, UsageError } from '../failure.js';
import {
  addModelsOption,
  addPluginsOption,
  byteCount,
  wholeNumber,
  type ModelsOption,
  type PluginsOption,
} from '../options.js';
import { printable } from '../printable.js';
import { RunningServer } from '../running-server.js';
import type { CommandContext } from '../session.js';
import { print } from '../standard-output.js';

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
  const { SettingsSource } = await import('@axle/remoting');
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
  const folders = foldersOf(settings.models);
  await checkFolders(folders);
  const { cpuPlugin, shippedModels, traceWhereSdkIsRegistered } = await import('axle');
  await traceWhereSdkIsRegistered();
  const own = settings.backends.length === 0 ? [cpuPlugin] : [];
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

/** @throws FileError for a folder that is not there: what would be served from it is not what is meant. */
async function checkFolders(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    await readdir(folder).catch((error: unknown) => {
      throw fileFailure(error, `${folder} (of --models, AXLE_MODELS or 'models')`);
    });
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
