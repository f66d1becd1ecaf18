import type { Duplex } from 'node:stream';
import { type Readable } from 'node:stream';
import { MessageChannel, Worker } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';

import { PortStream } from '../handler/port-stream.js';
import { bundledClientArguments } from './bundled-client.js';
import type { Carrier, CarrierEnd } from './carrier.js';

const threadMain = fileURLToPath(new URL('../handler/thread-main.js', import.meta.url));

export interface ThreadOptions {
  readonly heapMiB: number;
  /** All that the function's environment has. */
  readonly environment: Readonly<Record<string, string>>;
}

/** A worker thread with a channel. What it takes outside of its heap nobody counts. */
export class ThreadCarrier implements Carrier {
  readonly channel: Duplex;
  readonly printed: readonly Readable[];
  readonly usage = undefined;
  private readonly worker: Worker;

  constructor({ heapMiB, environment }: ThreadOptions) {
    const { port1, port2 } = new MessageChannel();
    this.worker = new Worker(threadMain, {
      workerData: port2,
      transferList: [port2],
      env: { ...environment },
      execArgv: [...bundledClientArguments()],
      argv: [],
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: heapMiB },
    });
    this.channel = new PortStream(port1);
    this.printed = [this.worker.stdout, this.worker.stderr];
  }

  kill(): void {
    void this.worker.terminate();
  }

  onEnd(ended: (end: CarrierEnd) => void): void {
    let thrown: NodeJS.ErrnoException | undefined;
    this.worker.once('error', (error) => {
      thrown = error;
    });
    this.worker.once('exit', (code) => {
      const hasFullHeap = thrown?.code === 'ERR_WORKER_OUT_OF_MEMORY';
      ended({ how: thrown?.message ?? `exit code ${code}`, hasFullHeap });
    });
  }
}
