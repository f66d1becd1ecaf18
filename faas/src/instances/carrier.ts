import type { Duplex, Readable } from 'node:stream';

import type { ProcessUsage } from './process-table.js';

/** How a carrier ended. */
export interface CarrierEnd {
  /** Of an end of its own: 'exit code 3', 'SIGSEGV', what was thrown. */
  readonly how: string;
  readonly hasFullHeap: boolean;
}

/** What an instance with a channel runs in: a process, a thread. */
export interface Carrier {
  readonly channel: Duplex;
  /** What is printed in it. */
  readonly printed: readonly Readable[];
  /** Undefined: nobody knows. */
  readonly usage: ProcessUsage | undefined;
  /** With all that it started. Of no effect once it ended. */
  kill(): void;
  /** @param ended called once, when it is gone. */
  onEnd(ended: (end: CarrierEnd) => void): void;
}
