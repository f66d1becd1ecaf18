import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { markAsUntransferable } from 'node:worker_threads';

import { AxleError, errorCodeOf, messageOf } from './errors.js';
import type { NativeMapping } from './native-binding.js';
import { loadNativeBinding } from './native-loader.js';

/** How much one process gives another at most, and takes from it, bytes. */
export const sharedMemoryBytesMax = 2 ** 40;

const windowBytes = 2 ** 21;

/** Memory that is shared with another process. It is mapped until the last range of it is collected. */
export class MappedMemory {
  private whole: Uint8Array | undefined;
  /** By their place: the first starts at 0. */
  private readonly windows: Uint8Array[] = [];

  constructor(
    private readonly mapping: NativeMapping,
    readonly byteLength: number,
  ) {}

  /**
   * A part of it, in an ArrayBuffer of many. V8 looks for garbage in the whole heap when much memory comes all at once, so
   * what uses little of it is not charged for the whole.
   */
  view(offset: number, byteLength: number): Uint8Array {
    const window = Math.floor(offset / windowBytes);
    const start = window * windowBytes;
    if (offset + byteLength > start + windowBytes) {
      this.whole ??= this.range(0, this.byteLength);
      return this.whole.subarray(offset, offset + byteLength);
    }
    this.windows[window] ??= this.range(start, Math.min(windowBytes, this.byteLength - start));
    return this.windows[window].subarray(offset - start, offset - start + byteLength);
  }

  /** A part of it, with an ArrayBuffer of its own that cannot be transferred. */
  range(offset: number, byteLength: number): Uint8Array {
    const buffer = loadNativeBinding().sharedMemoryRange(this.mapping, offset, byteLength);
    markAsUntransferable(buffer);
    return new Uint8Array(buffer);
  }

  /** Where ranges start to which nothing refers any more; each is told once. */
  takeReturned(): number[] {
    return loadNativeBinding().sharedMemoryReturned(this.mapping);
  }
}

/** Memory that another process can be given, and that no access to can fault, whatever the other does. */
export class SharedMemory {
  readonly memory: MappedMemory;
  private descriptor: number;

  /**
   * Zeros, `byteLength` of them, of which the system takes a page only when it is written to.
   *
   * @throws AxleError UNIMPLEMENTED where the system has no memory that can be sealed (Linux has), RESOURCE_EXHAUSTED.
   */
  constructor(byteLength: number) {
    const { mapping, descriptor } = translated(() =>
      loadNativeBinding().sharedMemoryCreate(byteLength),
    );
    this.memory = new MappedMemory(mapping, byteLength);
    this.descriptor = descriptor;
  }

  /**
   * Sends `data`, with the memory on its first byte, over a unix socket that has nothing else to send.
   *
   * @throws AxleError UNAVAILABLE when the socket is gone.
   */
  sendOver(socket: Socket, data: Uint8Array): void {
    const number = descriptorOf(socket);
    translated(() => {
      loadNativeBinding().sharedMemorySend(number, data, this.descriptor);
    });
  }

  /** A name of it for as long as it is not sealed, for other programs of this user: opening it gives the same memory. */
  get path(): string {
    return `/proc/${process.pid}/fd/${this.descriptor}`;
  }

  /** It can be given to nobody any more; `memory` stays. */
  seal(): void {
    if (this.descriptor >= 0) closeSync(this.descriptor);
    this.descriptor = -1;
  }
}

export interface AttachAnswer {
  readonly answer: Uint8Array;
  /** Absent: the answer says why. */
  readonly memory: MappedMemory | undefined;
}

/**
 * Asks a server at a unix socket for its memory, in a connection of its own.
 *
 * @throws AxleError UNAVAILABLE, DEADLINE_EXCEEDED; FAILED_PRECONDITION for memory that its maker could take away.
 */
export async function attachMemory(
  path: string,
  request: Uint8Array,
  timeoutMs: number,
): Promise<AttachAnswer> {
  try {
    const { answer, mapping, bytes } = await loadNativeBinding().sharedMemoryAttach(
      path,
      request,
      sharedMemoryBytesMax,
      timeoutMs,
    );
    if (mapping === undefined || bytes === undefined) return { answer, memory: undefined };
    return { answer, memory: new MappedMemory(mapping, bytes) };
  } catch (error) {
    throw asAxleError(error);
  }
}

/** Node's sockets have it, and do not say so. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle?: { readonly fd?: number } };
  if (typeof handle?.fd === 'number' && handle.fd >= 0) return handle.fd;
  throw new AxleError('UNAVAILABLE', 'the socket is closed');
}

function translated<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asAxleError(error);
  }
}

function asAxleError(error: unknown): unknown {
  const status = error instanceof Error ? (error as { status?: unknown }).status : undefined;
  if (typeof status !== 'number') return error;
  return new AxleError(errorCodeOf(status), messageOf(error));
}
