import type { GuestAccelerator, GuestEnd } from '@axle/unikernel-glue';
import { Option, type Command } from 'commander';

import { printError } from '../error-line.js';
import { FileError, UsageError } from '../failure.js';
import {
  addJsonOption,
  addModelsOption,
  addPluginsOption,
  wholeNumber,
  type JsonOption,
  type ModelsOption,
  type PluginsOption,
} from '../options.js';
import { printable } from '../printable.js';
import type { CommandContext } from '../session.js';
import { print, writeToStandardOutput } from '../standard-output.js';

const memoryMiBMin = 16;
const memoryMiBMax = 4096;
const MiB = 2 ** 20;
const defaultTimeoutSeconds = 60;
const timeoutSecondsMax = 86_400;
const msPerSecond = 1000;
const defaultTenant = 'local';
const defaultAnswerSeconds = 10;
const vsockPortMax = 0xffff_fffe;

interface RunOptions extends JsonOption, PlaceOptions {
  readonly memory?: number;
  readonly timeout: number;
  readonly accel: GuestAccelerator;
  readonly vmm?: string;
  readonly append?: string;
}

interface PlaceOptions extends ModelsOption, PluginsOption {
  readonly tenant?: string;
  readonly config?: string;
}

interface JoinCommandOptions extends PlaceOptions {
  readonly timeout: number;
  readonly keep?: boolean;
}

export function addGuestCommand(program: Command, context: CommandContext): void {
  const guest = program.command('guest').description('unikernels and microVMs that use Axle');
  const run = guest
    .command('run')
    .description(
      'boot one in a virtual machine of its own, give it the devices, and wait for its end',
    )
    .argument('<image>', 'an ELF file with a PVH note, or a folder with vmlinuz and initrd.img')
    .option('--tenant <name>', `whom it is taken for (default: ${defaultTenant})`)
    .option('--config <file>', 'settings in JSON with the quotas of tenants (docs/serving.md)')
    .option(
      '--memory <MiB>',
      'memory of the machine (default: 32, with Linux 128)',
      wholeNumber(memoryMiBMin, memoryMiBMax),
    )
    .option(
      '--timeout <seconds>',
      'end it after this long',
      wholeNumber(1, timeoutSecondsMax),
      defaultTimeoutSeconds,
    )
    .addOption(
      new Option('--accel <how>', 'how its processor is run')
        .choices(['auto', 'kvm', 'tcg'])
        .default('auto', 'KVM where it works, else emulated'),
    )
    .option('--vmm <path>', 'the virtual machine monitor (default: qemu-system-x86_64 on PATH)')
    .option('--append <text>', 'its command line')
    .action((image: string, options: RunOptions) => runCommand(image, options, context));
  addJsonOption(addPluginsOption(addModelsOption(run)));
  addJoinCommand(guest, context);
  for (const command of [guest, run]) {
    command.addHelpText(
      'after',
      `
What the guest prints on its serial line is printed; it says 'axle: done' at its end, or 'axle: failed: ...'.
With --on it uses the devices of that server, through a relay where --tenant or --config is given.

Examples:
  $ npm run guests
  $ axle guest run unikernel-glue/build/guest/classify.elf
  $ axle guest run unikernel-glue/build/guest/classify-linux
  $ axle --on axle+unix:/run/axle.sock guest run unikernel-glue/build/guest/classify.elf --json`,
    );
  }
}

function addJoinCommand(guest: Command, context: CommandContext): void {
  const join = guest
    .command('join')
    .description('give guests that listen on a port of their vsock the devices, until they leave')
    .argument(
      '<place...>',
      "PATH:PORT[,tenant=NAME]: the socket of a monitor's vsock device, the port, and whom that guest is taken for",
    )
    .option(
      '--keep',
      'until interrupted: wait for guests that are not up, and join again those that left',
    )
    .option('--tenant <name>', `whom it is taken for (default: ${defaultTenant})`)
    .option('--config <file>', 'settings in JSON with the quotas of tenants (docs/serving.md)')
    .option(
      '--timeout <seconds>',
      "for the monitor's answer",
      wholeNumber(1, timeoutSecondsMax),
      defaultAnswerSeconds,
    )
    .action((places: string[], options: JoinCommandOptions) =>
      joinCommand(places, options, context),
    );
  addPluginsOption(addModelsOption(join)).addHelpText(
    'after',
    `
For monitors such as Firecracker and Cloud Hypervisor. A guest that connects by itself needs a listener instead:
axle serve --listen vsock-unix:PATH:PORT.

Examples:
  $ axle guest join /run/vm1/vsock:7471 --tenant vm1
  $ axle guest join --keep /run/vm1/vsock:7471,tenant=vm1 /run/vm2/vsock:7471,tenant=vm2`,
  );
}

/** A guest that is to be joined. */
interface GuestPlace {
  readonly text: string;
  /** Of the monitor's vsock device. */
  readonly vsock: string;
  readonly port: number;
  readonly tenant: string | undefined;
}

function readGuestPlace(text: string): GuestPlace {
  const [, vsock = '', digits = '', tenant] =
    /^(.+):(\d{1,10})(?:,tenant=(.+))?$/s.exec(text) ?? [];
  const port = Number(digits);
  if (vsock === '' || port > vsockPortMax) {
    throw new UsageError(`'${text}' is no PATH:PORT[,tenant=NAME], such as /run/vm1/vsock:7471`);
  }
  return { text, vsock, port, tenant };
}

async function joinCommand(
  texts: readonly string[],
  options: JoinCommandOptions,
  { signal }: CommandContext,
): Promise<void> {
  const places = texts.map(readGuestPlace);
  const server = await serverFor(
    options,
    places.map(({ tenant }) => tenant),
  );
  try {
    const ends = await Promise.allSettled(
      places.map((place) => joinOne(place, options, server.socketOf(place.tenant), signal)),
    );
    signal.throwIfAborted();
    const failed = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as Error] : []));
    // What ended the last is told by whoever called.
    for (const error of failed.slice(0, -1)) printError(error.message);
    const last = failed.at(-1);
    if (last !== undefined) throw last;
  } finally {
    await server.close();
  }
}

async function joinOne(
  { text, vsock, port }: GuestPlace,
  { timeout, keep }: JoinCommandOptions,
  socket: string,
  signal: AbortSignal,
): Promise<void> {
  const { GuestError, joinGuest, keepJoined } = await import('@axle/unikernel-glue');
  const say = (what: string) => void writeToStandardOutput(Buffer.from(`${what} ${text}\n`));
  const how = {
    ...{ vsock, port, socket, signal, timeoutMs: timeout * msPerSecond },
    onJoined: () => {
      say('joined');
    },
  };
  try {
    if (keep !== true) await joinGuest(how);
    else {
      await keepJoined({
        ...how,
        onLeft: () => {
          say('left');
        },
        onRefused: ({ message }) => {
          printError(`${text}: ${message}; trying again`);
        },
      });
    }
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    throw new FileError(error.code, `${text}: ${error.message}`, { cause: error });
  }
}

async function runCommand(
  image: string,
  options: RunOptions,
  { signal }: CommandContext,
): Promise<void> {
  const glue = await import('@axle/unikernel-glue');
  const { GuestError, readGuestImage, runGuest, usualMemoryMiB } = glue;
  let place: Place | undefined;
  const output: Uint8Array[] = [];
  try {
    const { kind } = await readGuestImage(image);
    const memoryMiB = options.memory ?? usualMemoryMiB[kind];
    place = await serverFor(options, [undefined], memoryMiB * MiB);
    const ended = await runGuest({
      ...{ image, socket: place.socketOf(), memoryFile: place.memoryFile, signal },
      ...{ memoryMiB, accelerator: options.accel, vmm: options.vmm },
      ...{ timeoutMs: options.timeout * msPerSecond, commandLine: options.append },
      onOutput: (data) => {
        if (options.json) output.push(data);
        else void writeToStandardOutput(data);
      },
    });
    await report(image, options, ended, Buffer.concat(output).toString('utf8'));
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    throw new FileError(error.code, `${image}: ${error.message}`, { cause: error });
  } finally {
    await place?.close();
  }
}

async function report(
  image: string,
  { json }: RunOptions,
  ended: GuestEnd,
  serial: string,
): Promise<void> {
  const { kind, accelerator, firstByteMs, firstResultMs, endMs, isDone, failure } = ended;
  if (json === true) {
    const emulated = accelerator === 'tcg';
    const times = { firstByteMs, firstResultMs, endMs };
    await print(
      `${JSON.stringify({ image, kind, accelerator, emulated, isDone, failure, ...times, serial })}\n`,
    );
  } else {
    const how = accelerator === 'tcg' ? 'processor emulated by QEMU' : 'KVM';
    const times = `first byte ${shown(firstByteMs)}, first result ${shown(firstResultMs)}, end ${shown(endMs)}`;
    await print(`${times} (${how})\n`);
  }
  if (isDone) return;
  const why = failure ?? "it ended without 'axle: done'";
  throw new FileError('UNKNOWN', `${image}: the guest failed: ${printable(why)}`);
}

function shown(ms: number | undefined): string {
  return ms === undefined ? 'none' : `${ms.toFixed(0)} ms`;
}

/** Where guests are joined to. */
interface Place {
  /** @param tenant undefined: the one that the options say */
  socketOf(tenant?: string): string;
  /** What is to be the memory of the guest's machine; undefined: its own. */
  readonly memoryFile?: string | undefined;
  close(): Promise<void>;
}

/**
 * @param tenants of its guests; undefined: as the options say
 * @param memoryBytes of a machine that is to be made for the only one; undefined: none is
 */
async function serverFor(
  options: PlaceOptions,
  tenants: readonly (string | undefined)[],
  memoryBytes?: number,
): Promise<Place> {
  const { tenant: usual, config, models = [], plugin = [] } = options;
  const backend = process.env['AXLE_ENDPOINT'];
  const named = [usual, ...tenants].filter((tenant) => tenant !== undefined);
  const isPlain = named.length === 0 && config === undefined && plugin.length === 0;
  const url = backend === undefined ? undefined : URL.parse(backend);
  if (isPlain && models.length === 0 && url?.protocol === 'axle+unix:') {
    // Whoever may open that socket may let a guest speak through it.
    const socket = decodeURIComponent(url.pathname);
    return { socketOf: () => socket, close: () => Promise.resolve() };
  }
  const { isTenantName } = await import('@axle/remoting');
  for (const tenant of named) {
    if (isTenantName(tenant)) continue;
    throw new UsageError(`'${tenant}' is no name of a tenant; use letters, digits, . _ and -`);
  }
  const { GuestServer } = await import('../guest/guest-server.js');
  const { ServerLog } = await import('../server-log.js');
  const tenantOf = (tenant: string | undefined) => tenant ?? usual ?? defaultTenant;
  const server = await GuestServer.open({
    tenants: [...new Set(tenants.map(tenantOf))],
    ...{ config, backend, models, plugins: plugin, memoryBytes },
    log: new ServerLog('text').write,
  });
  return {
    socketOf: (tenant) => server.socketOf(tenantOf(tenant)),
    memoryFile: server.memoryFile,
    close: () => server.close(),
  };
}
