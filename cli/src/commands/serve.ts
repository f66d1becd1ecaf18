import type { Command } from 'commander';

import { addModelsOption, addPluginsOption } from '../options.js';
import { addServeOptions, oneMore, type ServeCommandOptions } from '../serving/serve-options.js';
import { serve } from '../serving/serve.js';
import type { CommandContext } from '../session.js';

export function addServeCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('serve')
    .description("let other processes use this machine's devices");
  addServeOptions(command)
    .option(
      '--backend <url>',
      'offer the devices of this server instead of those of this machine, for each tenant over a connection of its own; may ' +
        'be repeated',
      oneMore,
    )
    .option(
      '--in-process',
      'open devices in this process: calls are quicker, and a plugin that crashes ends the server',
    )
    .action((options: ServeCommandOptions) => serve(options, context, 'devices'));
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
