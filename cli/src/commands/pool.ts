import { Option, type Command } from 'commander';

import { addModelsOption } from '../options.js';
import { addServeOptions, oneMore, type ServeCommandOptions } from '../serving/serve-options.js';
import { serve } from '../serving/serve.js';
import type { CommandContext } from '../session.js';
import { addDrainCommands } from './pool-drain.js';

export function addPoolCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('pool')
    .description('serve the devices of many servers as one')
    .option(
      '--servers <list>',
      'URLs of axle serve with commas between them, or a file with one on each line; may be repeated',
      oneMore,
    )
    .addOption(
      new Option(
        '--fit <which>',
        'of servers that are equally quick, load a model where it leaves the least memory, or the most (default: worst)',
      ).choices(['best', 'worst']),
    );
  addServeOptions(command).action((options: ServeCommandOptions) =>
    serve(options, context, 'pool'),
  );
  addDrainCommands(command, context);
  addModelsOption(command).addHelpText(
    'after',
    `
It keeps nothing: run as many as you like, on the same servers. SIGHUP, or a change of the file, takes servers in and lets
those go that are not in it any more, when they have answered what they were sent. See docs/pool.md.

Examples:
  $ axle pool --servers axle+tls://gpu1:7471,axle+tls://gpu2:7471 --listen unix:/run/axle.sock
  $ axle pool --servers /etc/axle/servers --listen tls:0.0.0.0:7471 --tls-cert pool.crt --tls-key pool.key --tokens tokens.jsonl
  $ axle --on 'axle+pool:/etc/axle/servers' devices  # without one: straight to the servers`,
  );
}
