import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';

import { GuestError } from './guest-error.js';
import { SerialLine } from './serial-line.js';
import { findVmm, kvmWorks } from './vmm.js';

/** `auto`: KVM where it works, else QEMU's emulation of the processor (TCG). */
export type GuestAccelerator = 'auto' | 'kvm' | 'tcg';

export interface GuestOptions {
  /** ELF file with a PVH note. */
  readonly image: string;
  /** Unix socket of an Axle server, which stands for the guest's tenant. */
  readonly socket: string;
  /** Of the guest; 16 at least. */
  readonly memoryMiB: number;
  readonly accelerator: GuestAccelerator;
  /**
   * File that is to be the guest's memory, of that many MiB and filled by whoever reads it too; undefined: its memory is the
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

/** Of what the monitor says on its standard error, what is kept, characters. */
const errorTextMax = 2000;

/**
 * Boots a guest in a microvm of its own, joins its first virtio port to a socket, and waits for its end. The monitor ends
 * with this process's interest in it: when `signal` aborts, when the time is over, when the guest prints without end.
 *
 * @throws GuestError NOT_FOUND where the image or the monitor is not there; INVALID_ARGUMENT for an image that does not
 * boot; DEADLINE_EXCEEDED when its time is over; RESOURCE_EXHAUSTED when it prints too much; or as `signal` says.
 */
export async function runGuest(options: GuestOptions): Promise<GuestEnd> {
  const { image, accelerator, timeoutMs, signal, onOutput } = options;
  signal?.throwIfAborted();
  const vmm = await findVmm(options.vmm);
  await checkReadable(image);
  const used = accelerator === 'auto' ? await bestOf(vmm) : accelerator;
  const startedAt = performance.now();
  const now = (): number => performance.now() - startedAt;
  const child = spawn(vmm, vmmArgs(options, used), { stdio: ['ignore', 'pipe', 'pipe'] });
  const serial = new SerialLine(now);
  let stop: Error | undefined;
  const end = (reason: Error): void => {
    stop ??= reason;
    child.kill('SIGKILL');
  };
  const timer = setTimeout(() => {
    end(new GuestError('DEADLINE_EXCEEDED', `the guest did not end in ${timeoutMs} ms`));
  }, timeoutMs);
  const abort = (): void => {
    end(signal?.reason as Error);
  };
  signal?.addEventListener('abort', abort, { once: true });
  let errorText = '';
  child.stderr.on('data', (data: Buffer) => {
    if (errorText.length < errorTextMax) errorText += data.toString('utf8');
    // The machine stands still then, and its monitor waits for someone to look at it.
    if (errorText.includes('KVM internal error')) end(kvmFailed());
  });
  child.stdout.on('data', (data: Buffer) => {
    try {
      serial.take(data);
    } catch (error) {
      end(error as Error);
      return;
    }
    onOutput?.(data);
  });
  try {
    const code = await endOf(child);
    if (stop !== undefined) throw stop;
    if (code !== 0) throw monitorFailed(errorText, code);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
  const { isDone, failure, firstByteMs, firstResultMs } = serial;
  return { accelerator: used, isDone, failure, firstByteMs, firstResultMs, endMs: now() };
}

async function checkReadable(image: string): Promise<void> {
  try {
    await access(image, constants.R_OK);
  } catch (error) {
    throw new GuestError('NOT_FOUND', `the image cannot be read: ${(error as Error).message}`);
  }
}

async function bestOf(vmm: string): Promise<'kvm' | 'tcg'> {
  return (await kvmWorks(vmm)) ? 'kvm' : 'tcg';
}

function vmmArgs(
  { image, socket, memoryMiB, memoryFile, commandLine }: GuestOptions,
  accelerator: string,
): string[] {
  const machine = `microvm,acpi=off,accel=${accelerator}`;
  const memory = `id=memory,size=${memoryMiB}M,share=on,mem-path=${quoted(memoryFile ?? '')}`;
  return [
    ...(memoryFile === undefined
      ? ['-M', machine]
      : ['-M', `${machine},memory-backend=memory`, '-object', `memory-backend-file,${memory}`]),
    ...['-m', String(memoryMiB), '-kernel', image],
    ...(commandLine === undefined ? [] : ['-append', commandLine]),
    // The guest ends itself by a reset, and has no devices but these.
    ...['-no-reboot', '-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio'],
    ...['-global', 'virtio-mmio.force-legacy=false', '-device', 'virtio-serial-device'],
    // A serial port, not a console: what the host does not take at once must wait, and a console drops it.
    ...['-chardev', `socket,id=axle,path=${quoted(socket)}`],
    ...['-device', 'virtserialport,chardev=axle,name=axle'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
  ];
}

function kvmFailed(): GuestError {
  return new GuestError('UNAVAILABLE', 'KVM of this machine cannot run the guest; try TCG');
}

/** In options of QEMU a comma is written twice. */
function quoted(value: string): string {
  return value.replaceAll(',', ',,');
}

async function endOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null];
  return code;
}

function monitorFailed(errorText: string, code: number | null): GuestError {
  const said = errorText.trim().split('\n').at(-1) ?? '';
  const isImage = /PVH|kernel/i.test(said);
  return new GuestError(
    isImage ? 'INVALID_ARGUMENT' : 'UNAVAILABLE',
    isImage
      ? `the image does not boot: ${said}; give an ELF file with a PVH note`
      : `the virtual machine monitor ended with ${code ?? 'a signal'}: ${said}`,
  );
}
