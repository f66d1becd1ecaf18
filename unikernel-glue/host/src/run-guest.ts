import { connect } from 'node:net';
import { performance } from 'node:perf_hooks';

import { GuestError } from './guest-error.js';
import { readGuestImage, type GuestKind } from './guest-image.js';
import { joinWhenHeard } from './join-when-heard.js';
import { Machine, usualMemoryMiB } from './machine.js';
import { SerialLine } from './serial-line.js';
import { findVmm, kvmWorks } from './vmm.js';

/** `auto`: KVM where it works, else QEMU's emulation of the processor (TCG). */
export type GuestAccelerator = 'auto' | 'kvm' | 'tcg';

export interface GuestOptions {
  /** As `readGuestImage` takes it: the file of a unikernel, or the folder of a microVM. */
  readonly image: string;
  /** Unix socket of an Axle server, which stands for the guest's tenant. */
  readonly socket: string;
  /** Of the guest; undefined: what is usual for its kind. */
  readonly memoryMiB?: number | undefined;
  readonly accelerator: GuestAccelerator;
  /**
   * File that is to be the guest's memory, of `memoryMiB` and filled by whoever reads it too; undefined: its memory is the
   * monitor's alone.
   */
  readonly memoryFile?: string | undefined;
  /** How long it may run. */
  readonly timeoutMs: number;
  /** Words that the guest is given. */
  readonly commandLine?: string | undefined;
  /** qemu-system-x86_64; default: the one on PATH. */
  readonly vmm?: string | undefined;
  /** What it prints on its serial line, as it comes. */
  readonly onOutput?: ((data: Uint8Array) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How a guest ended that ended by itself. Times are in milliseconds from the start of the virtual machine monitor. */
export interface GuestEnd {
  readonly kind: GuestKind;
  readonly accelerator: 'kvm' | 'tcg';
  /** It said that it came to its end. */
  readonly isDone: boolean;
  /** Why it says that it failed. */
  readonly failure: string | undefined;
  readonly firstByteMs: number | undefined;
  /** Of the first line that does not begin with `axle:`. */
  readonly firstResultMs: number | undefined;
  readonly endMs: number;
}

/**
 * Boots a guest in a microvm of its own, joins its first virtio port to a socket, and waits for its end. The monitor ends
 * with this process's interest in it: when `signal` aborts, when the time is over, when the guest prints without end.
 *
 * @throws GuestError NOT_FOUND where the image or the monitor is not there; INVALID_ARGUMENT for an image that does not
 * boot; DEADLINE_EXCEEDED when its time is over; RESOURCE_EXHAUSTED when it prints too much; or as `signal` says.
 */
export async function runGuest(options: GuestOptions): Promise<GuestEnd> {
  const { socket, accelerator, timeoutMs, commandLine, signal, onOutput } = options;
  signal?.throwIfAborted();
  const vmm = await findVmm(options.vmm);
  const image = await readGuestImage(options.image);
  const used = accelerator === 'auto' ? await bestAccelerator(vmm) : accelerator;
  const memoryMiB = options.memoryMiB ?? usualMemoryMiB[image.kind];
  signal?.throwIfAborted();
  const startedAt = performance.now();
  const now = (): number => performance.now() - startedAt;
  // Past this process, which costs a hop, only where it boots for longer than a server waits.
  const isSlow = image.kind === 'microvm';
  const machine = new Machine(vmm, {
    ...{ image, memoryMiB, memoryFile: options.memoryFile, accelerator: used, commandLine },
    socket: isSlow ? undefined : socket,
  });
  if (machine.axle !== undefined) {
    joinWhenHeard(machine.axle, () => Promise.resolve(connect({ path: socket })));
  }
  const serial = new SerialLine(now);
  const timer = setTimeout(() => {
    machine.end(new GuestError('DEADLINE_EXCEEDED', `the guest did not end in ${timeoutMs} ms`));
  }, timeoutMs);
  const abort = (): void => {
    machine.end(signal?.reason as Error);
  };
  signal?.addEventListener('abort', abort, { once: true });
  machine.serial.on('data', (data: Buffer) => {
    try {
      serial.take(data);
    } catch (error) {
      machine.end(error as Error);
      return;
    }
    onOutput?.(data);
  });
  try {
    await machine.ended();
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
  const { isDone, failure, firstByteMs, firstResultMs } = serial;
  const { kind } = image;
  return { kind, accelerator: used, isDone, failure, firstByteMs, firstResultMs, endMs: now() };
}

/** @param vmm as `findVmm` gives it */
export async function bestAccelerator(vmm: string): Promise<'kvm' | 'tcg'> {
  return (await kvmWorks(vmm)) ? 'kvm' : 'tcg';
}
