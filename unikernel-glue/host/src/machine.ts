import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex, Readable } from 'node:stream';

import { GuestError } from './guest-error.js';
import type { GuestImage, GuestKind } from './guest-image.js';

export interface MachineOptions {
  readonly image: GuestImage;
  /** Unix socket of an Axle server, which stands for the guest's tenant; undefined: `axle` of the machine. */
  readonly socket?: string | undefined;
  /** Whether it has a port for the calls of a function. */
  readonly hasCalls?: boolean | undefined;
  /** Of the guest; `memoryMiBMin` at least. */
  readonly memoryMiB: number;
  /** File of that size that is to be its memory; undefined: the monitor's alone. */
  readonly memoryFile?: string | undefined;
  readonly accelerator: 'kvm' | 'tcg';
  /** Words that the guest is given. */
  readonly commandLine?: string | undefined;
}

/** Without which a guest does not come up. */
export const memoryMiBMin: Readonly<Record<GuestKind, number>> = { unikernel: 16, microvm: 64 };
export const usualMemoryMiB: Readonly<Record<GuestKind, number>> = { unikernel: 32, microvm: 128 };

/** Says what it prints on the serial line, and nothing else; ends the machine, and does not wait, when it cannot go on. */
const linuxWords = [
  ...['console=ttyS0', 'quiet', 'loglevel=0', 'panic=-1', 'reboot=t'],
  // What takes long where a processor is emulated, against a neighbour that a guest of one program does not have.
  ...['mitigations=off', 'nokaslr', 'edd=off'],
];
/**
 * Linux measures its clock by a timer of the machine, and does not come up where the host lets the emulated processor wait
 * meanwhile. By `countedClock` that clock counts instructions, and 10^9 of its ticks are a second.
 */
const countedClock = ['-icount', 'shift=auto'];
const countedClockWord = 'tsc_early_khz=1000000';
/** Of what a monitor says on its standard error, what is kept, characters. */
const errorTextMax = 2000;

/**
 * The watcher ends the monitor when file 3 ends: when this process does, however it does. The monitor leads a process group
 * of its own, so that Ctrl-C is this process's to deal with.
 */
const watched =
  '(trap "" HUP INT TERM; exec 4<&- 5<&- >/dev/null 2>&1; read _ <&3; kill -9 0) & exec "$@" 3<&-';
/** Files of the monitor that are its ends of ports. */
const portFiles = { axle: 4, calls: 5 };

/** A virtual machine that runs, as a process of its monitor. */
export class Machine {
  /** What it prints on its serial line. */
  readonly serial: Readable;
  /** The host's end of its port to an Axle server; undefined: it is joined to a socket. */
  readonly axle: Duplex | undefined;
  /** The same of the port by which a function has its calls. */
  readonly calls: Duplex | undefined;
  private readonly child: ChildProcess;
  private errorText = '';
  private verdict: Error | undefined;
  private hasEnded = false;

  /**
   * @param vmm as `findVmm` gives it
   * @throws GuestError INVALID_ARGUMENT for less memory than the guest comes up with
   */
  constructor(vmm: string, options: MachineOptions) {
    const least = memoryMiBMin[options.image.kind];
    if (options.memoryMiB < least) {
      const message = `a ${options.image.kind} needs ${least} MiB of memory at least; it was given ${options.memoryMiB}`;
      throw new GuestError('INVALID_ARGUMENT', message);
    }
    this.child = spawn('/bin/sh', ['-c', watched, 'sh', vmm, ...vmmArgs(options)], {
      detached: true,
      stdio: [
        ...(['ignore', 'pipe', 'pipe', 'pipe'] as const),
        ...([options.socket === undefined, options.hasCalls === true] as const).map((isPort) =>
          isPort ? 'pipe' : 'ignore',
        ),
      ],
    });
    const { stdout, stderr, stdio } = this.child;
    if (stdout === null || stderr === null) throw new Error('a child with pipes has them');
    this.serial = stdout;
    const ports: readonly unknown[] = stdio;
    this.axle = (ports[portFiles.axle] as Duplex | null) ?? undefined;
    this.calls = (ports[portFiles.calls] as Duplex | null) ?? undefined;
    for (const each of [this.axle, this.calls]) each?.on('error', () => undefined);
    stdio[3]?.on('error', () => undefined);
    stderr.on('data', (data: Buffer) => {
      if (this.errorText.length < errorTextMax) this.errorText += data.toString('utf8');
      // The machine stands still then, and its monitor waits for someone to look at it.
      if (this.errorText.includes('KVM internal error')) this.end(kvmFailed());
    });
  }

  /** Of the monitor; undefined: it could not be started. */
  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Ends it, for this reason: the first one given counts. Of no effect once it ended. */
  end(reason: Error): void {
    this.verdict ??= reason;
    this.kill();
  }

  /**
   * Settles when it ended by itself. To be called at once, and once.
   *
   * @throws what `end` was told; GuestError INVALID_ARGUMENT for an image that does not boot, UNAVAILABLE where the monitor
   * failed.
   */
  async ended(): Promise<void> {
    const code = await new Promise<number | null>((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('exit', () => {
        // Who watches it is still there, and holds the number of the group.
        this.kill();
        this.hasEnded = true;
      });
      this.child.once('close', resolve);
    });
    if (this.verdict !== undefined) throw this.verdict;
    if (code !== 0) throw monitorFailed(this.errorText, code);
  }

  /** The whole group: the monitor, and who watches it. */
  private kill(): void {
    const { pid } = this.child;
    if (pid === undefined || this.hasEnded) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    this.child.stdio[3]?.destroy();
  }
}

function vmmArgs({
  image,
  socket,
  hasCalls = false,
  memoryMiB,
  memoryFile,
  accelerator,
  commandLine,
}: MachineOptions): string[] {
  const isLinux = image.kind === 'microvm';
  const isCounted = isLinux && accelerator === 'tcg';
  const words = [
    ...(isLinux ? linuxWords : []),
    ...(isCounted ? [countedClockWord] : []),
    ...(commandLine === undefined ? [] : [commandLine]),
  ];
  // Linux finds the devices of the machine, and the way to end it, by ACPI; a unikernel would have to read that.
  const machine = `microvm,acpi=${isLinux ? 'on' : 'off'},accel=${accelerator}`;
  const memory = `id=memory,size=${memoryMiB}M,share=on,mem-path=${quoted(memoryFile ?? '')}`;
  return [
    ...(memoryFile === undefined
      ? ['-M', machine]
      : ['-M', `${machine},memory-backend=memory`, '-object', `memory-backend-file,${memory}`]),
    ...['-m', String(memoryMiB), '-kernel', image.kernel],
    ...(isLinux ? ['-initrd', image.initrd] : []),
    ...(isCounted ? countedClock : []),
    ...(words.length === 0 ? [] : ['-append', words.join(' ')]),
    // The guest ends itself by a reset, and has no devices but these.
    ...['-no-reboot', '-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio'],
    ...['-global', 'virtio-mmio.force-legacy=false'],
    ...port('axle', socket, isLinux ? undefined : 0),
    ...(hasCalls ? port('calls', undefined, isLinux ? undefined : 1) : []),
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
  ];
}

/**
 * A virtio device with one port: a serial port, not a console: what the host does not take at once must wait, and a console
 * drops it.
 *
 * @param socket that it is joined to; undefined: the monitor was given its end
 * @param slot where a unikernel looks for it; undefined: the guest tells ports by their names
 */
function port(name: keyof typeof portFiles, socket: string | undefined, slot?: number): string[] {
  const place = slot === undefined ? '' : `,bus=virtio-mmio-bus.${slot}`;
  const end = socket === undefined ? `fd=${portFiles[name]}` : `path=${quoted(socket)}`;
  return [
    ...['-device', `virtio-serial-device,id=${name}-device${place}`],
    ...['-chardev', `socket,id=${name},${end}`],
    ...['-device', `virtserialport,bus=${name}-device.0,chardev=${name},name=${name}`],
  ];
}

function kvmFailed(): GuestError {
  return new GuestError('UNAVAILABLE', 'KVM of this machine cannot run the guest; try TCG');
}

/** In options of QEMU a comma is written twice. */
function quoted(value: string): string {
  return value.replaceAll(',', ',,');
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
