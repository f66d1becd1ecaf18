import { Command } from 'commander';

import { addCaCommand } from './commands/ca.js';
import { addClassifyCommand } from './commands/classify.js';
import { addCompletionCommand } from './commands/completion.js';
import { addCompressCommand } from './commands/compress.js';
import { addDecompressCommand } from './commands/decompress.js';
import { addDevicesCommand } from './commands/devices.js';
import { addFaasCommand } from './commands/faas.js';
import { addFunctionCommand } from './commands/function.js';
import { addGuestCommand } from './commands/guest.js';
import { addInferCommand } from './commands/infer.js';
import { addModelCommand } from './commands/model.js';
import { addModelsCommand } from './commands/models.js';
import { addPerfCommand } from './commands/perf.js';
import { addPluginCommand } from './commands/plugin.js';
import { addPoolCommand } from './commands/pool.js';
import { addServeCommand } from './commands/serve.js';
import { addTokenCommand } from './commands/token.js';
import { addTopCommand } from './commands/top.js';
import { addUsageCommand } from './commands/usage.js';
import { UsageError } from './failure.js';
import type { CommandContext } from './session.js';
import { packageVersion } from './version.js';

/** The whole command line. Errors are thrown as CommanderError, never printed. */
export function createProgram(context: CommandContext): Command {
  const program = new Command('axle')
    .description('Say what you want done; Axle decides where: CPU, GPU or FPGA.')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'show this help, or that of a command')
    .option(
      '--on <url>',
      'work on a server: axle+unix:/PATH, axle+tls://HOST:PORT or axle://HOST:PORT, or on several: ' +
        'axle+pool:?server=URL&server=URL or axle+pool:/FILE; also AXLE_ENDPOINT',
    )
    .option('--debug', 'show where an error came from; also AXLE_DEBUG=1')
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      `
Exit codes: 0 done, 1 failed, 2 wrong command line; 130 interrupted, 143 terminated.
Environment: AXLE_MODELS (folders of models), AXLE_DEBUG, NO_COLOR; where to connect and as whom: AXLE_ENDPOINT,
AXLE_TOKEN or AXLE_TOKEN_FILE, AXLE_TLS_CA, AXLE_TLS_CERT and AXLE_TLS_KEY.

Examples:
  $ axle devices
  $ axle classify photo.jpg
  $ axle compress data.bin`,
    );
  program.hook('preAction', (_program, command) => {
    workOn(program.opts<{ readonly on?: string }>().on, command);
  });
  addDevicesCommand(program);
  addModelsCommand(program);
  addModelCommand(program, context);
  addClassifyCommand(program, context);
  addInferCommand(program, context);
  addCompressCommand(program, context);
  addDecompressCommand(program, context);
  addPerfCommand(program, context);
  addServeCommand(program, context);
  addPoolCommand(program, context);
  addFaasCommand(program, context);
  addFunctionCommand(program, context);
  addGuestCommand(program, context);
  addTopCommand(program, context);
  addUsageCommand(program);
  addTokenCommand(program);
  addCaCommand(program);
  addPluginCommand(program, context);
  addCompletionCommand(program);
  return program;
}

/** Commands that are about this machine. */
const localCommands = new Set(['serve', 'pool', 'faas', 'usage', 'plugin', 'completion']);

/** `--on` is AXLE_ENDPOINT of one command. */
function workOn(url: string | undefined, command: Command): void {
  if (url === undefined) return;
  const top = [command, command.parent].find((each) => each?.parent?.parent === null);
  const name = top?.name() ?? '';
  if (localCommands.has(name)) {
    throw new UsageError(`axle ${name} is about this machine; leave --on out`);
  }
  if (name === 'top') {
    throw new UsageError(
      'axle top reads metrics; leave --on out and give their URL: axle top http://HOST:8002',
    );
  }
  process.env['AXLE_ENDPOINT'] = url;
}
