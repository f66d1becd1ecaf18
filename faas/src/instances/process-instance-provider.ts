import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { CommandInstance } from './command-instance.js';
import { guestsNeedMachines } from './instance-end.js';
import type { Instance, InstanceEvents, InstanceProvider, InstanceSpec } from './instance.js';
import { ChannelInstance } from './channel-instance.js';
import { InstancesFolder } from './instances-folder.js';
import { ProcessCarrier } from './process-carrier.js';
import { ProcessTable } from './process-table.js';
import { setupOf } from './setup-of.js';
import { ownEnvironment, WaitingProcesses } from './waiting-processes.js';
import { makeWorkFolder } from './work-folder.js';

const memoryCheckMs = 200;
const heapPart = 0.75;
/** Of the manifest's memory where it says nothing. */
const usualMemoryMiB = 256;
/** Read when a process starts, and at no other time. */
const onlyAtStart = /^(?:NODE_|LD_|UV_|MALLOC_|OPENSSL_|SSL_)/;
const closeMsMax = 500;
const refillMs = 100;

export interface ProcessInstanceProviderOptions {
  /** For a call to end after it was cancelled or its time was over, milliseconds; then its process is killed. Default 2000. */
  readonly graceMs?: number;
  /** Until an instance takes calls, milliseconds; default 60,000. */
  readonly startMsMax?: number;
  /** Processes that wait, started, for a function to run; default 0. Each takes some 50 MiB. */
  readonly waitingProcesses?: number;
}

/**
 * Functions as processes of this user: with limits, an environment of their own and a clean end, and without a security
 * boundary. A handler's process serves many calls, a command's one. Memory is what `memoryMiB` says for each of them,
 * looked at a few times a second.
 */
export class ProcessInstanceProvider implements InstanceProvider {
  readonly name = 'process';
  private readonly instances = new Set<ChannelInstance | CommandInstance>();
  private readonly folder = new InstancesFolder();
  private readonly table = new ProcessTable();
  private readonly waiting: WaitingProcesses;
  private memoryTimer: NodeJS.Timeout | undefined;

  constructor(private readonly options: ProcessInstanceProviderOptions = {}) {
    this.waiting = new WaitingProcesses(this.folder.path, options.waitingProcesses ?? 0);
    this.waiting.fill(heapMiBOf(usualMemoryMiB));
  }

  /** @throws AxleError UNIMPLEMENTED for a guest. */
  start(spec: InstanceSpec, events: InstanceEvents): Instance {
    const { command, guest } = spec.bundle.manifest;
    if (guest !== undefined) throw guestsNeedMachines();
    const watched: InstanceEvents = {
      ...events,
      ended: (reason) => {
        this.forget(instance);
        events.ended(reason);
      },
    };
    const instance =
      command === undefined
        ? this.startHandler(spec, watched)
        : this.startCommand(spec, command, watched);
    this.instances.add(instance);
    this.memoryTimer ??= setInterval(() => {
      this.table.look();
      for (const each of this.instances) each.checkMemory();
    }, memoryCheckMs).unref();
    return instance;
  }

  async close(): Promise<void> {
    this.waiting.close();
    await Promise.all([...this.instances].map((instance) => instance.stop(closeMsMax)));
    await this.folder.close();
  }

  private startHandler(spec: InstanceSpec, events: InstanceEvents): ChannelInstance {
    const { graceMs = 2000, startMsMax = 60_000 } = this.options;
    const { id, deployment } = spec;
    const { memoryMiB, timeoutMs } = deployment;
    const { environment } = setupOf(spec);
    const early = Object.entries(environment).filter(([name]) => onlyAtStart.test(name));
    const { child, home } = this.waiting.take(heapMiBOf(memoryMiB), Object.fromEntries(early));
    const limits = { id, memoryMiB, timeoutMs, graceMs, startMsMax };
    const instance = new ChannelInstance(
      new ProcessCarrier(child, this.table),
      limits,
      removing(home, events),
      setupOf(spec, makeWorkFolder(home, spec.bundle.folder)),
    );
    // The next is not started beside this one, which somebody waits for, nor beside its first call.
    const refill = (): void => {
      setTimeout(() => {
        this.waiting.fill(heapMiBOf(memoryMiB));
      }, refillMs).unref();
    };
    instance.ready.then(refill, refill);
    return instance;
  }

  private startCommand(
    { id, deployment, bundle, secrets, pool }: InstanceSpec,
    [program = '', ...args]: readonly string[],
    events: InstanceEvents,
  ): CommandInstance {
    const home = mkdtempSync(join(this.folder.path, 'instance-'));
    const secretsFolder = join(home, 'secrets');
    mkdirSync(secretsFolder, { mode: 0o700 });
    for (const [name, bytes] of secrets) {
      writeFileSync(join(secretsFolder, name), bytes, { mode: 0o400 });
    }
    const ofBundle = join(bundle.folder, program);
    const { memoryMiB, timeoutMs } = deployment;
    const spec = {
      command: [existsSync(ofBundle) ? ofBundle : program, ...args],
      folder: makeWorkFolder(home, bundle.folder),
      environment: {
        ...ownEnvironment(home),
        AXLE_SECRETS: secretsFolder,
        ...(pool === undefined ? {} : { AXLE_ENDPOINT: pool.url, AXLE_TOKEN: pool.token }),
        ...bundle.manifest.environment,
        ...deployment.environment,
      },
      memoryMiB,
      timeoutMs,
      table: this.table,
    };
    return new CommandInstance(id, spec, removing(home, events));
  }

  private forget(instance: ChannelInstance | CommandInstance): void {
    this.instances.delete(instance);
    if (this.instances.size > 0) return;
    clearInterval(this.memoryTimer);
    this.memoryTimer = undefined;
  }
}

/** With the instance goes what it kept. */
function removing(home: string, events: InstanceEvents): InstanceEvents {
  return {
    ...events,
    ended: (reason) => {
      rm(home, { recursive: true, force: true }).catch(() => undefined);
      events.ended(reason);
    },
  };
}

function heapMiBOf(memoryMiB: number): number {
  return Math.floor(memoryMiB * heapPart);
}
