import { Option, type Command } from 'commander';
import type { LogFormat } from '@axle/remoting';

import { byteCount, wholeNumber, type ModelsOption, type PluginsOption } from '../options.js';

const graceSecondsMax = 3600;

/** Of the commands that serve. */
export interface ServeCommandOptions extends ModelsOption, PluginsOption {
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
  readonly servers?: string[];
  readonly fit?: 'best' | 'worst';
  readonly sharedMemory?: number;
  readonly systemSharedMemory?: true;
  readonly logFormat?: LogFormat;
  readonly accessLog?: true;
  readonly auditLog?: string;
  readonly usageLog?: string;
}

/** What all servers have, whatever they serve. */
export function addServeOptions(command: Command): Command {
  return command
    .option(
      '--listen <where>',
      'unix:PATH[,mode=0600][,tenant=NAME][,memory=FILE], vsock-unix:PREFIX:PORT, tls:HOST:PORT or tcp:HOST:PORT; may be repeated',
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
    .option('--audit-log <file>', 'add to this file who did what: lines of JSON, without secrets')
    .option('--usage-log <file>', 'add to this file what tenants used of devices, for axle usage')
    .option('--access-log', 'tell of each request; otherwise of those that fail, a few in a while');
}

/** As other sizes, but for none. */
function sharedMemoryBytes(text: string): number {
  return text === '0' ? 0 : byteCount(text);
}

export function oneMore(where: string, before: string[] | undefined): string[] {
  return [...(before ?? []), where];
}
