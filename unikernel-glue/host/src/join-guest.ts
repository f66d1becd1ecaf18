import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';

import { GuestError } from './guest-error.js';
import { connectToGuestPort } from './vsock-handshake.js';

export interface JoinOptions {
  /** Unix socket of the guest's vsock device, where its monitor lets the host in. */
  readonly vsock: string;
  /** That the guest listens on. */
  readonly port: number;
  /** Unix socket of an Axle server, which stands for the guest's tenant. */
  readonly socket: string;
  /** For the monitor's answer. */
  readonly timeoutMs: number;
  /** The guest took the connection; told once. */
  readonly onJoined?: (() => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Connects to a guest that listens on a port of its vsock, and carries bytes between it and a server until one of the two ends.
 *
 * @throws GuestError NOT_FOUND where there is no such socket; otherwise as connectToGuestPort; or as `signal` says.
 */
export async function joinGuest(options: JoinOptions): Promise<void> {
  const { vsock, port, socket, timeoutMs, onJoined, signal } = options;
  signal?.throwIfAborted();
  const guest = await open(vsock, "the vsock device's socket");
  try {
    await connectToGuestPort(guest, port, timeoutMs, signal);
    const server = await open(socket, "the server's socket");
    try {
      onJoined?.();
      await carry(guest, server, signal);
    } finally {
      server.destroy();
    }
  } finally {
    guest.destroy();
  }
}

async function open(path: string, what: string): Promise<Socket> {
  const opened = connect({ path, allowHalfOpen: true });
  // Whoever waits for it is told; between two waits nobody is there to listen.
  opened.on('error', () => undefined);
  try {
    await once(opened, 'connect');
  } catch (error) {
    throw new GuestError('NOT_FOUND', `cannot connect to ${what}: ${(error as Error).message}`);
  }
  return opened;
}

async function carry(guest: Socket, server: Socket, signal?: AbortSignal): Promise<void> {
  const options = signal === undefined ? {} : { signal };
  try {
    await pipeline(guest, server, guest, options);
  } catch (error) {
    signal?.throwIfAborted();
    // One of the two is gone without a word, which is an end too: the server tells of it.
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || !endings.has(code)) throw error;
  }
}

const endings = new Set(['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE']);
