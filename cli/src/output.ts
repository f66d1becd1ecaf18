import { open, stat } from 'node:fs/promises';
import { Writable } from 'node:stream';

import { AtomicFile } from './atomic-file.js';
import { FileError, fileFailure, isSystemError, UsageError } from './failure.js';
import { openPipeForWriting } from './special-file.js';
import { writeToStandardOutput } from './standard-output.js';

export interface OutputOptions {
  /** Replace a file, and write bytes to a terminal. */
  readonly force: boolean;
  /** Permissions of a new file. */
  readonly mode?: number | undefined;
  readonly signal: AbortSignal;
}

/** Where the bytes of a command go. `discard` undoes what can be undone, and is harmless after `commit`. */
export interface Output {
  /** For messages. */
  readonly name: string;
  readonly sink: Writable;
  commit(): Promise<void>;
  discard(): Promise<void>;
}

/**
 * `-` is standard output; a device or a pipe that is there is written to directly; anything else is a file that
 * appears whole or not at all.
 */
export async function openOutput(name: string, options: OutputOptions): Promise<Output> {
  if (name === '-') return standardOutput(options.force);
  const kind = await kindOf(name);
  if (kind === 'directory') {
    throw new FileError('INVALID_ARGUMENT', `${name} is a directory; give the name of a file`);
  }
  if (kind === 'regular')
    return AtomicFile.create(name, { overwrite: options.force, mode: options.mode });
  try {
    return kind === 'pipe' ? await pipe(name, options.signal) : await device(name);
  } catch (error) {
    throw fileFailure(error, name);
  }
}

function standardOutput(force: boolean): Output {
  if (process.stdout.isTTY && !force) {
    throw new UsageError(
      'not writing binary data to a terminal; name a file with --output, redirect, or pass --force',
    );
  }
  const sink = new Writable({
    highWaterMark: 1024 * 1024,
    write: (chunk: Uint8Array, _encoding, done) => {
      writeToStandardOutput(chunk).then(() => done(), done);
    },
  });
  return { name: 'standard output', sink, commit: nothing, discard: nothing };
}

async function pipe(name: string, signal: AbortSignal): Promise<Output> {
  const sink = await openPipeForWriting(name, signal);
  return { name, sink, commit: nothing, discard: () => Promise.resolve(void sink.destroy()) };
}

async function device(name: string): Promise<Output> {
  const handle = await open(name, 'w');
  const sink = handle.createWriteStream({ autoClose: false, highWaterMark: 1024 * 1024 });
  // The system does not say which file it was.
  sink.prependListener('error', (error: NodeJS.ErrnoException) => {
    error.path ??= name;
  });
  const close = async () => {
    if (handle.fd >= 0) await handle.close();
  };
  return { name, sink, commit: close, discard: close };
}

type OutputKind = 'regular' | 'directory' | 'pipe' | 'device';

async function kindOf(name: string): Promise<OutputKind> {
  try {
    const status = await stat(name);
    if (status.isDirectory()) return 'directory';
    if (status.isFIFO()) return 'pipe';
    return status.isFile() ? 'regular' : 'device';
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return 'regular';
    throw fileFailure(error, name);
  }
}

function nothing(): Promise<void> {
  return Promise.resolve();
}
