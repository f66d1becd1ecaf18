import type { ChildProcess } from 'node:child_process';
import type { Duplex, Readable } from 'node:stream';

import type { Carrier, CarrierEnd } from './carrier.js';
import { exitOf } from './instance-end.js';
import { killGroup } from './process-group.js';
import type { ProcessTable, ProcessUsage } from './process-table.js';

/** V8 says so before it aborts. */
const heapIsFull = /heap out of memory/;

/** A process group whose leader has a channel. */
export class ProcessCarrier implements Carrier {
  readonly channel: Duplex;
  readonly printed: readonly Readable[];
  private hasEnded = false;
  private hasFullHeap = false;

  /** @param child as `spawnGroup` gives it. */
  constructor(
    private readonly child: ChildProcess,
    private readonly table: ProcessTable,
  ) {
    if (child.pid !== undefined) table.add(child.pid);
    this.channel = child.stdio[3] as Duplex;
    const printed = child.stdio[1] as Readable;
    this.printed = [printed];
    printed.on('data', (chunk: Buffer) => {
      // Its last words.
      if (chunk.byteLength < 8192) this.hasFullHeap ||= heapIsFull.test(chunk.toString('latin1'));
    });
    child.stdio[4]?.on('error', () => undefined);
  }

  get usage(): ProcessUsage {
    return this.table.usageOf(this.child.pid);
  }

  kill(): void {
    if (!this.hasEnded && this.child.pid !== undefined) killGroup(this.child.pid);
  }

  onEnd(ended: (end: CarrierEnd) => void): void {
    const end = (how: string): void => {
      if (this.hasEnded) return;
      // What it started, and who watched the group.
      this.kill();
      this.hasEnded = true;
      this.table.remove(this.child.pid);
      (this.child.stdio[4] as Duplex).destroy();
      ended({ how, hasFullHeap: this.hasFullHeap });
    };
    this.child.once('exit', () => {
      end(exitOf(this.child));
    });
    this.child.once('error', (error) => {
      end(`its process cannot be started: ${error.message}`);
    });
  }
}
