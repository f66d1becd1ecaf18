import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { bundledClientArguments } from './bundled-client.js';
import { killGroup, spawnGroup } from './process-group.js';

const processMain = fileURLToPath(new URL('../handler/process-main.js', import.meta.url));

/** A process that waits for its SETUP, with a folder for what it keeps. */
export interface WaitingProcess {
  readonly child: ChildProcess;
  readonly home: string;
}

/**
 * Processes that are started before anybody needs them: one that has Node and the client code loaded takes a function in
 * a fraction of the time. They have the heap that was asked for last, since a heap cannot be given a size later.
 */
export class WaitingProcesses {
  private isClosed = false;
  private waiting: (WaitingProcess & { readonly heapMiB: number })[] = [];

  /** @param count how many are kept. */
  constructor(
    private readonly folder: string,
    private readonly count: number,
  ) {}

  /** One that waits, or a new one. */
  take(heapMiB: number, environment: Readonly<Record<string, string>>): WaitingProcess {
    // What only counts when a process starts cannot be given to one that runs.
    const isPlain = Object.keys(environment).length === 0;
    const at = isPlain ? this.waiting.findIndex((each) => each.heapMiB === heapMiB) : -1;
    const [found] = at < 0 ? [] : this.waiting.splice(at, 1);
    const taken = found ?? this.spawn(heapMiB, environment, []);
    taken.child.removeAllListeners();
    return taken;
  }

  /** Starts what is missing; of those that are too many, the oldest end. */
  fill(heapMiB: number): void {
    const hasOne = this.count === 0 || this.waiting.some((each) => each.heapMiB === heapMiB);
    if (this.isClosed || (hasOne && this.waiting.length >= this.count)) return;
    while (this.waiting.length >= this.count) this.drop(this.waiting[0] as WaitingProcess);
    try {
      while (this.waiting.length < this.count) {
        this.waiting.push(this.spawn(heapMiB, {}, ['ahead']));
      }
    } catch {
      // None waits then: who needs one starts it, and is told what is wrong.
    }
  }

  close(): void {
    this.isClosed = true;
    for (const each of [...this.waiting]) this.drop(each);
  }

  private spawn(
    heapMiB: number,
    environment: Readonly<Record<string, string>>,
    words: readonly string[],
  ): WaitingProcess & { readonly heapMiB: number } {
    // Whoever cleans temporary folders may have taken it.
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    const home = mkdtempSync(join(this.folder, 'instance-'));
    // V8 collects harder the nearer it comes to its limit: before the process is killed for what is only garbage.
    const heap = `--max-old-space-size=${heapMiB}`;
    const args = [...bundledClientArguments(), heap, processMain, ...words];
    const child = spawnGroup(process.execPath, args, {
      folder: home,
      environment: { ...ownEnvironment(home), ...environment },
      kind: 'served',
    });
    const spawned = { child, home, heapMiB };
    const forget = (): void => {
      this.drop(spawned);
    };
    child.once('error', forget).once('exit', forget);
    // It is not what this process runs for.
    child.unref();
    return spawned;
  }

  private drop({ child, home }: WaitingProcess): void {
    this.waiting = this.waiting.filter((each) => each.child !== child);
    child.removeAllListeners();
    child.on('error', () => undefined);
    if (child.pid !== undefined) killGroup(child.pid);
    for (const at of [1, 3, 4]) (child.stdio[at] as Duplex | null)?.destroy();
    rm(home, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Nothing of the front end's but where programs are. */
export function ownEnvironment(home: string): Record<string, string> {
  const { PATH = '/usr/local/bin:/usr/bin:/bin' } = process.env;
  return { PATH, HOME: home, TMPDIR: home, LANG: 'C.UTF-8' };
}
