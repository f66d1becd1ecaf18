import { readFileSync } from 'node:fs';

const nsPerMs = 1e6;
/** Of the thread that runs JavaScript: the first of the process. */
const statistics = `/proc/self/task/${process.pid}/schedstat`;

/**
 * For how long `work` held this thread, milliseconds: computing, or waiting for something. How long the thread waited for
 * a core does not count, because that is what other processes do to it.
 */
export function heldMs(work: () => void): number {
  const waitedBefore = coreWaitMs();
  const startedAt = performance.now();
  work();
  const tookMs = performance.now() - startedAt;
  return Math.max(tookMs - (coreWaitMs() - waitedBefore), 0);
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
