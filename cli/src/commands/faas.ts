import { once } from 'node:events';

import type { InstanceProvider, SamplePool } from '@axle/faas';
import { Option, type Command } from 'commander';

import { ExitCode } from '../failure.js';
import { openFunctionPool, poolAccess } from '../faas/function-pool.js';
import { PoolSampler } from '../faas/pool-sampler.js';
import { sourceCommit } from '../faas/source-commit.js';
import {
  gatewayDefault,
  metricsDefault,
  addressOf,
  isLoopback,
  instanceKinds,
  mergedSettings,
  openToOthers,
  type InstanceKind,
  readFaasSettings,
  readPoolTokens,
} from '../faas/settings.js';
import { defaultState, passwordFileIn, passwordOf } from '../gateway/password.js';
import {
  addModelsOption,
  addPluginsOption,
  byteCount,
  wholeNumber,
  type ModelsOption,
  type PluginsOption,
} from '../options.js';
import { printable } from '../printable.js';
import type { CommandContext } from '../session.js';
import { print } from '../standard-output.js';
import { packageVersion } from '../version.js';

const graceSecondsDefault = 30;
const graceSecondsMax = 3600;
const cleanUpMs = 5000;
const waitingDefault = 1;
const waitingMax = 64;

interface FaasOptions extends ModelsOption, PluginsOption {
  readonly gateway?: string;
  readonly metrics?: string;
  readonly pool?: string;
  readonly poolMetrics?: string;
  /** A file. */
  readonly poolTokens?: string;
  readonly instances?: InstanceKind;
  readonly waiting?: number;
  readonly state?: string;
  readonly passwordFile?: string;
  readonly config?: string;
  readonly grace?: number;
  readonly bundleBytes?: number;
}

export function addFaasCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('faas')
    .description('run functions: a front end that speaks OpenFaaS, Lambda and CloudEvents')
    .option(
      '--gateway <address>',
      `where it listens for calls and deployments (default: ${gatewayDefault})`,
    )
    .option('--metrics <address>', `the same for Prometheus, or none (default: ${metricsDefault})`)
    .option(
      '--pool <url>',
      'the Axle server whose devices functions use, as AXLE_TOKEN or --pool-tokens says; none: they have none (default: one on this machine)',
    )
    .option(
      '--pool-tokens <file>',
      'tokens of that server in JSON, { "FUNCTION": "TOKEN" }; functions that have none there use AXLE_TOKEN',
    )
    .option(
      '--pool-metrics <url>',
      'what axle serve --metrics of that server prints, for the page at /ui',
    )
    .addOption(
      new Option(
        '--instances <kind>',
        'what handlers run in: a process each, or threads of this one, which share its fate (default: process)',
      ).choices(instanceKinds),
    )
    .option(
      '--waiting <count>',
      `processes that are started before they are needed, of some 50 MiB each (default: ${waitingDefault})`,
      wholeNumber(0, waitingMax),
    )
    .option(
      '--state <dir>',
      `where functions, secrets and waiting calls are kept (default: ${defaultState()})`,
    )
    .option(
      '--password-file <file>',
      'the password of admin; made where it is missing (default: password in --state)',
    )
    .option(
      '--bundle-bytes <bytes>',
      'how much room all that is pushed may take, each content once (default: 8G)',
      byteCount,
    )
    .option('--config <file>', 'settings in JSON (docs/faas.md); options here go before them')
    .option(
      '--grace <seconds>',
      `when stopped, time to answer what was accepted (default: ${graceSecondsDefault})`,
      wholeNumber(0, graceSecondsMax),
    )
    .action((options: FaasOptions) => faas(options, context));
  addPluginsOption(addModelsOption(command)).addHelpText(
    'after',
    `
A first SIGTERM or Ctrl-C takes nothing new, gives calls that run --grace seconds, and ends with 0; a second one ends
at once. Asynchronous calls that are still to be done are on disk, and go on with the next start.
Functions run as processes of this user, which is no security boundary (docs/faas.md).

Examples:
  $ axle faas
  $ axle faas --gateway 127.0.0.1:9000 --metrics none --state ./state
  $ axle function new hello && axle function push hello && axle function deploy hello
  $ curl http://${gatewayDefault}/function/hello -d world`,
  );
}

async function faas(options: FaasOptions, { interruption }: CommandContext): Promise<void> {
  const graceMs = (options.grace ?? graceSecondsDefault) * 1000;
  // From the first moment on: a signal that comes before it listens is its ordinary end, too.
  interruption.drainWithin(graceMs + cleanUpMs);
  const { signal } = interruption;
  const { poolTokens: tokensFile, ...own } = options;
  const fromFile = options.config === undefined ? {} : await readFaasSettings(options.config);
  const settings = mergedSettings(
    tokensFile === undefined ? own : { ...own, poolTokens: await readPoolTokens(tokensFile) },
    fromFile,
  );
  const gateway = addressOf(settings.gateway);
  const metrics = settings.metrics === 'none' ? undefined : addressOf(settings.metrics);
  const passwordFile = settings.passwordFile ?? passwordFileIn(settings.state);
  const { password, isNew } = await passwordOf(passwordFile);
  const { FrontEnd, frontEndUser } = await import('@axle/faas');
  const { ServerLog } = await import('../server-log.js');
  const log = new ServerLog('text').write;
  const withTokens = [tokensFile, fromFile.poolTokens === undefined ? undefined : options.config];
  for (const file of withTokens) {
    const warning = file === undefined ? undefined : await openToOthers(file);
    if (warning !== undefined) log(warning);
  }
  if (signal.aborted) return;
  const pool = await openFunctionPool({
    ...{ url: settings.pool, tokens: settings.poolTokens, log },
    ...{ models: options.models ?? [], plugins: options.plugin ?? [] },
  });
  const metricsOfPool = options.poolMetrics ?? pool?.metricsUrl;
  let sampler: PoolSampler | undefined;
  let provider: InstanceProvider | undefined;
  try {
    if (metricsOfPool !== undefined) sampler = await PoolSampler.open(metricsOfPool);
    if (signal.aborted) return;
    provider = await providerOf(settings.instances, options.waiting ?? waitingDefault);
    const frontEnd = await FrontEnd.start({
      state: settings.state,
      gateway,
      metrics,
      password,
      provider,
      ...(pool === undefined ? {} : poolAccess(pool, log)),
      samplePool: samplerOf(sampler),
      callbackHosts: settings.callbackHosts,
      bundleBytesMax: options.bundleBytes,
      version: packageVersion(),
      commit: await sourceCommit(),
      log,
    });
    if (signal.aborted) {
      await frontEnd.close(graceMs);
      return;
    }
    const { url, metricsUrl, functionCount } = frontEnd;
    await print(`listening on ${url}\n`);
    await print(`page at ${url}/ui\n`);
    if (metricsUrl !== undefined) await print(`metrics at ${metricsUrl}/metrics\n`);
    await print(`user ${frontEndUser}, password in ${printable(passwordFile)}\n`);
    // Once, and where somebody looks: what is kept of the output of servers is read by many.
    if (isNew && process.stdout.isTTY) await print(`the password is new: ${password}\n`);
    if (!isLoopback(gateway.host))
      log(`${url} is no loopback address and has no TLS: put a proxy with TLS before it`);
    if (metricsUrl !== undefined && metrics !== undefined && !isLoopback(metrics.host))
      log(
        `${metricsUrl} is no loopback address: who reaches it sees names and load of all functions`,
      );
    await print(
      functionCount > 0
        ? `${functionCount} functions: axle function list\n`
        : 'next: axle function new hello && axle function push hello && axle function deploy hello\n',
    );
    if (!signal.aborted) await once(signal, 'abort');
    await frontEnd.close(graceMs);
  } finally {
    // Also where the front end did not start: processes that wait would keep this one alive.
    await provider?.close();
    sampler?.close();
    await pool?.close();
  }
  process.exitCode = ExitCode.ok;
}

async function providerOf(kind: InstanceKind, waitingProcesses: number): Promise<InstanceProvider> {
  const {
    GuestInstanceProvider,
    ProcessInstanceProvider,
    ProviderByManifest,
    ThreadInstanceProvider,
  } = await import('@axle/faas');
  const { startGuest } = await import('../guest/start-guest.js');
  const isThread = kind === 'thread';
  const commands = new ProcessInstanceProvider(isThread ? {} : { waitingProcesses });
  const handlers = isThread ? new ThreadInstanceProvider() : commands;
  const guests = new GuestInstanceProvider(startGuest);
  return new ProviderByManifest({ handlers, commands, guests });
}

function samplerOf(sampler: PoolSampler | undefined): SamplePool | undefined {
  return sampler && (() => sampler.sample());
}
