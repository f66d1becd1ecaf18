import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { AxleError, messageOf } from '@axle/core/internal';

import { Backoff } from '../client/backoff.js';
import type { FromHost, HostSettings, TenantShares, ToHost } from './host-message.js';
import { HostWatch } from './host-watch.js';

/** Time for a host to open its devices, milliseconds. */
const startMsMax = 120_000;
/** Time for a host to end when it is told so, milliseconds. */
const endMsMax = 1000;
/** Time for a host to say what waits in it, milliseconds. */
const askMsMax = 1000;
/** A host that lived so long, milliseconds, is started again at once. */
const goodMs = 5000;

const secrets: ReadonlySet<string> = new Set([
  'AXLE_TOKEN',
  'AXLE_TOKEN_FILE',
  'AXLE_TOKENS',
  'AXLE_TLS_KEY',
]);

const hostMain = fileURLToPath(new URL('host-main.js', import.meta.url));

/** What a host said when it was up. */
export type HostUp = Extract<FromHost, { kind: 'up' }>;

export interface DeviceHostOptions {
  readonly settings: HostSettings;
  /** What it hosts: 'cpu-fallback'. */
  readonly label: string;
  /** Without a sign of life for so long, milliseconds, it is ended; 0: it is not looked for. */
  readonly hungMs: number;
  readonly log: (line: string) => void;
}

/**
 * A process that has devices, kept running: when it ends, whatever ended it, or when it hangs, it is started again.
 */
export class DeviceHost {
  private child: ChildProcess | undefined = undefined;
  private readonly backoff = new Backoff();
  private up: Promise<HostUp>;
  private isClosed = false;
  private restarts = 0;
  private wake: () => void = () => undefined;
  private settings: HostSettings;

  private constructor(private readonly options: DeviceHostOptions) {
    this.settings = options.settings;
    this.backoff.nextMs();
    this.up = this.start();
  }

  /** @throws AxleError UNAVAILABLE when its process ends before it is up; as it says itself. */
  static async start(
    options: DeviceHostOptions,
  ): Promise<{ readonly host: DeviceHost; readonly said: HostUp }> {
    const host = new DeviceHost(options);
    try {
      const said = await host.up;
      void host.keepUp();
      return { host, said };
    } catch (error) {
      await host.close();
      throw error;
    }
  }

  get label(): string {
    return this.options.label;
  }

  /** For messages. */
  get name(): string {
    return `the device host of ${this.label}`;
  }

  get processId(): number | undefined {
    return this.child?.pid;
  }

  /** How often it ended and was started again. */
  get restartCount(): number {
    return this.restarts;
  }

  /** Resolves when it can be connected to. @throws AxleError UNAVAILABLE when it does not come up, or `signal` says so first. */
  async whenUp(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    await Promise.race([this.up, aborted]);
  }

  setShares(shares: TenantShares): void {
    this.settings = { ...this.settings, shares };
    this.tell({ kind: 'shares', shares });
  }

  /** Frees its device of a model, when no call uses it there. */
  unload(contentId: string): void {
    this.tell({ kind: 'unload', contentId });
  }

  /** Tasks that wait in it, by the content of their models; of one that does not say so in time, none. */
  waitingByModel(): Promise<ReadonlyMap<string, number>> {
    const { child } = this;
    if (child?.connected !== true) return Promise.resolve(new Map());
    return new Promise((resolve) => {
      const end = (byModel: Readonly<Record<string, number>>) => {
        clearTimeout(late);
        child.off('message', hear);
        resolve(new Map(Object.entries(byModel)));
      };
      const hear = (message: FromHost) => {
        if (message.kind === 'waiting') end(message.byModel);
      };
      const late = setTimeout(end, askMsMax, {});
      child.on('message', hear);
      this.tell({ kind: 'waiting' });
    });
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.wake();
    const { child } = this;
    if (child === undefined || hasEnded(child)) return;
    if (child.connected) {
      this.tell({ kind: 'dismiss' });
      child.disconnect();
    }
    const late = setTimeout(() => child.kill('SIGKILL'), endMsMax);
    await ended(child);
    clearTimeout(late);
  }

  /** Waits for the end of one process, then starts the next, until it is closed. */
  private async keepUp(): Promise<void> {
    while (!this.isClosed) {
      const startedAt = performance.now();
      const child = this.child as ChildProcess;
      const watch = this.watch(child);
      await ended(child);
      watch?.stop();
      if (performance.now() - startedAt > goodMs) this.backoff.reset();
      if (this.closed) return;
      this.options.log(`${this.name} ended (${endOf(child)}) and is started again`);
      this.restarts += 1;
      // Those who connect meanwhile wait for the next.
      this.up = this.startLater(this.backoff.nextMs());
      await this.up.catch((error: unknown) => {
        this.options.log(`${this.name} did not start: ${messageOf(error)}`);
      });
    }
  }

  /** Ends it when it hangs. One that is only starting has `startMsMax`. */
  private watch(child: ChildProcess): HostWatch | undefined {
    const { hungMs, log } = this.options;
    if (hungMs === 0) return undefined;
    const watch = new HostWatch(
      hungMs,
      () => {
        this.tell({ kind: 'ping' });
      },
      () => {
        log(`${this.name} gave no sign of life for ${hungMs / 1000} s and is ended`);
        child.kill('SIGKILL');
      },
    );
    child.on('message', () => {
      watch.heard();
    });
    return watch;
  }

  /** Read through this, after something was awaited. */
  private get closed(): boolean {
    return this.isClosed;
  }

  private async startLater(ms: number): Promise<HostUp> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    if (this.isClosed) throw new AxleError('CANCELLED', `${this.name} was closed`);
    return this.start();
  }

  private async start(): Promise<HostUp> {
    const child = fork(hostMain, [], {
      env: environment(),
      execArgv: [],
      // What plugins write goes where the server's own goes.
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.child = child;
    this.tell({ kind: 'start', settings: this.settings });
    const late = setTimeout(() => child.kill('SIGKILL'), startMsMax);
    try {
      return await firstWord(child, this.name);
    } finally {
      clearTimeout(late);
    }
  }

  private tell(message: ToHost): void {
    // One that has ended hears it when it is started again.
    if (this.child?.connected === true) this.child.send(message, () => undefined);
  }
}

function firstWord(child: ChildProcess, name: string): Promise<HostUp> {
  return new Promise((resolve, reject) => {
    child.once('message', (message: FromHost) => {
      if (message.kind === 'up') resolve(message);
      else if (message.kind === 'failed') {
        child.kill('SIGKILL');
        reject(new AxleError('UNAVAILABLE', message.message));
      }
    });
    child.on('error', reject);
    child.once('exit', () => {
      reject(new AxleError('UNAVAILABLE', `${name} ended (${endOf(child)}) while it started`));
    });
  });
}

/** However it did, and whether or not it could be started. */
function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (hasEnded(child) || child.pid === undefined) resolve();
    else child.once('exit', () => resolve());
  });
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function endOf({ exitCode, signalCode }: ChildProcess): string {
  return signalCode ?? `exit code ${exitCode}`;
}

/** Devices need no secrets of the server. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !secrets.has(name)));
}
