import { createWriteStream, fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';

import { ExitCode, fileFailure } from './failure.js';

let opened: Writable | undefined;

/** Writes text to standard output; resolves when it is written. */
export async function print(text: string): Promise<void> {
  await writeToStandardOutput(text);
}

/** Resolves when it is written, so that a caller who waits is as slow as the reader. */
export function writeToStandardOutput(data: string | Uint8Array): Promise<void> {
  const stream = (opened ??= openStandardOutput());
  return new Promise((resolve, reject) => {
    stream.write(data, (error) => {
      if (error) reject(fileFailure(error, 'standard output'));
      else resolve();
    });
  });
}

/**
 * Node's own stream for a regular file drops the rest of a short write, which is how a disk that fills up shows
 * itself first.
 */
function openStandardOutput(): Writable {
  const status = fstatSync(1);
  const isFile = status.isFile() || (status.isCharacterDevice() && !process.stdout.isTTY);
  const stream = isFile ? createWriteStream('', { fd: 1, autoClose: false }) : process.stdout;
  // Each write reports its own error; without a listener the stream would end the process.
  stream.on('error', () => undefined);
  return stream;
}

/** A reader that went away (`axle ... | head`) ends the command as it ends other tools: without a word. */
export function exitQuietlyOnBrokenPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(ExitCode.brokenPipe);
  });
  // Messages that nobody reads are no reason to stop working.
  process.stderr.on('error', () => undefined);
}
