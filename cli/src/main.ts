import { inspect } from 'node:util';

import { CommanderError } from 'commander';

import { printError } from './error-line.js';
import { ExitCode, isSystemError, oneLine, UsageError } from './failure.js';
import { Interrupted, Interruption } from './interruption.js';
import { createProgram } from './program.js';
import { exitQuietlyOnBrokenPipe } from './standard-output.js';

const interruption = new Interruption();
const { signal } = interruption;
exitQuietlyOnBrokenPipe();
process.on('uncaughtException', (error) => {
  process.exit(reportFailure(error));
});

try {
  await createProgram({ signal, interruption }).parseAsync(process.argv);
} catch (error) {
  process.exitCode = reportFailure(error);
}
// What is left in flight would keep the process, though nobody waits for it any more.
if (signal.reason instanceof Interrupted) process.exit(signal.reason.exitCode);

/** Says what went wrong in one line, and gives the exit code. */
function reportFailure(error: unknown): number {
  if (error instanceof CommanderError) return reportCommandLine(error);
  if (signal.reason instanceof Interrupted) return signal.reason.exitCode;
  if (isSystemError(error, 'EPIPE')) return ExitCode.brokenPipe;
  printError(wantsDebug() ? inspect(error) : oneLine(error));
  return error instanceof UsageError ? ExitCode.usage : ExitCode.failure;
}

function reportCommandLine(error: CommanderError): number {
  // Help and version were asked for; help without being asked is for a command line that names no command.
  if (error.exitCode === 0) return ExitCode.ok;
  if (error.code !== 'commander.help') printError(oneLine(error.message.replace(/^error: /, '')));
  return ExitCode.usage;
}

function wantsDebug(): boolean {
  return process.argv.includes('--debug') || process.env['AXLE_DEBUG'] === '1';
}
