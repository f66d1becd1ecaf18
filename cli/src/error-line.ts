import { painterFor } from './terminal.js';

/** One line for people on stderr, marked as an error of this command. */
export function printError(message: string): void {
  process.stderr.write(`${painterFor(process.stderr)('red', 'axle:')} ${message}\n`);
}
