import { readFileSync } from 'node:fs';

const nsPerMs = 1e6;
/** Of the thread that runs JavaScript: the first of the process. */
const statistics = `/proc/self/task/${process.pid}/schedstat`;

/** Milliseconds. The two are apart where the thread waited for a core just before or after the work. */
export interface HeldMs {
  readonly atLeast: number;
  readonly atMost: number;
}

/**
 * For how long `work` held this thread: computing, or waiting for something. How long the thread waited for a core does
 * not count, because that is what other processes do to it.
 */
export function heldBy(work: () => void): HeldMs {
  const askedAt = performance.now();
  const waitedBefore = coreWaitMs();
  const startedAt = performance.now();
  work();
  const tookMs = performance.now() - startedAt;
  const waitedMs = coreWaitMs() - waitedBefore;
  const inAllMs = performance.now() - askedAt;
  return { atLeast: Math.max(tookMs - waitedMs, 0), atMost: inAllMs - waitedMs };
}

/** See Documentation/scheduler/sched-stats.rst of Linux. Where the system keeps no such statistics, 0. */
function coreWaitMs(): number {
  try {
    const [, waitedNs] = readFileSync(statistics, 'latin1').split(' ');
    return Number(waitedNs) / nsPerMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
