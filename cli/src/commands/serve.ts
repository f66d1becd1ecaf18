import { once } from 'node:events';
import { delimiter } from 'node:path';

import type { Command } from 'commander';

import { UsageError } from '../failure.js';
import {
  addModelsOption,
  addPluginsOption,
  wholeNumber,
  type ModelsOption,
  type PluginsOption,
} from '../options.js';
import { printable } from '../printable.js';
import type { CommandContext } from '../session.js';
import { print } from '../standard-output.js';

const graceSecondsMax = 3600;
const msPerSecond = 1000;

interface ServeOptions extends ModelsOption, PluginsOption {
  readonly listen?: string[];
  readonly insecure?: true;
  readonly grace: number;
}

export function addServeCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('serve')
    .description("let other processes use this machine's devices")
    .option(
      '--listen <where>',
      'unix:PATH[,mode=0600][,tenant=NAME] or tcp:HOST:PORT; may be repeated',
      (where: string, before: string[] | undefined) => [...(before ?? []), where],
    )
    .option('--insecure', 'listen on TCP without TLS: whoever can connect may use the devices')
    .option(
      '--grace <seconds>',
      'when stopped, time to answer what was accepted',
      wholeNumber(0, graceSecondsMax),
      30,
    )
    .action((options: ServeOptions) => serve(options, context));
  addPluginsOption(addModelsOption(command)).addHelpText(
    'after',
    `
A first SIGTERM or Ctrl-C takes nothing new, answers what was accepted, and ends with 0; a second one ends at once.

Examples:
  $ axle serve --listen unix:/run/axle.sock
  $ AXLE_ENDPOINT=axle+unix:/run/axle.sock axle devices`,
  );
}

async function serve(options: ServeOptions, { interruption }: CommandContext): Promise<void> {
  const { listen = [], insecure, grace, plugin: plugins = [] } = options;
  if (listen.length === 0) {
    throw new UsageError('say where with --listen, such as --listen unix:/run/axle.sock');
  }
  const { readListenSpec, Server } = await import('@axle/remoting');
  const specs = listen.map((where) => readListenSpec(where));
  if (specs.some(({ kind }) => kind === 'tcp') && insecure === undefined) {
    throw new UsageError(
      'over TCP without TLS anyone who can connect may use the devices and read what is sent; say --insecure to allow it',
    );
  }
  const { cpuPlugin, shippedModels } = await import('axle');
  const { limitsWith, Runtime } = await import('@axle/core/internal');
  const limits = limitsWith({});
  const { models = process.env['AXLE_MODELS']?.split(delimiter) ?? [] } = options;
  const folders = [...models.filter((folder) => folder !== ''), shippedModels];
  const runtime = await Runtime.start({
    plugins: [cpuPlugin, ...plugins],
    models: folders,
    limits,
    loadsAhead: true,
  });
  try {
    const server = await Server.start({ runtime, listen: specs, limits });
    interruption.drainWithin((grace + 1) * msPerSecond);
    for (const endpoint of server.endpoints) await print(`listening on ${printable(endpoint)}\n`);
    await aborted(interruption.signal);
    await server.close(grace * msPerSecond);
  } finally {
    await runtime.close();
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
