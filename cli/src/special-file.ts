import { constants, open as openWithCallback } from 'node:fs';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { isSystemError } from './failure.js';

const readerPollMs = 50;

/** The bare descriptor: a FileHandle would close it under the socket that takes it over. */
const open = promisify(openWithCallback);

/**
 * A named pipe, read without holding a thread: a blocking open or read of one could neither be interrupted nor left
 * behind, for Node waits for its threads when it exits.
 */
export async function openPipeForReading(path: string): Promise<Duplex> {
  const descriptor = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return new Socket({ fd: descriptor, readable: true, writable: false });
}

/** Waits until somebody reads it. */
export async function openPipeForWriting(path: string, signal: AbortSignal): Promise<Duplex> {
  for (;;) {
    try {
      const descriptor = await open(path, constants.O_WRONLY | constants.O_NONBLOCK);
      return new Socket({ fd: descriptor, readable: false, writable: true });
    } catch (error) {
      if (!isSystemError(error, 'ENXIO')) throw error;
      await delay(readerPollMs, undefined, { signal });
    }
  }
}
