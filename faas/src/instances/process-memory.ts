import { readFileSync } from 'node:fs';

/** Of a page on the machines that this runs on, bytes: /proc/PID/statm counts pages. */
const pageBytes = 4096;
/** Looked at for one instance; a function that has more processes than that is counted by these. */
const processesMax = 256;

/**
 * Memory of a process and of those that it started, bytes: what is theirs alone, without files that are mapped, which
 * the kernel takes back by itself. 0 when it is gone.
 */
export function memoryBytesOf(pid: number): number {
  const pids = [pid];
  let pages = 0;
  for (let at = 0; at < pids.length && at < processesMax; at++) {
    const each = pids[at] as number;
    // See proc_pid_statm(5): size, resident, shared.
    const [, resident = 0, shared = 0] = numbersOf(`/proc/${each}/statm`);
    pages += resident - shared;
    pids.push(...numbersOf(`/proc/${each}/task/${each}/children`));
  }
  return pages * pageBytes;
}

/** The process ended, or this one has no more files to look with: it looks again soon. */
const notKnownNow = new Set(['ENOENT', 'ESRCH', 'EMFILE', 'ENFILE', 'EACCES']);

/** None where it is not known now. */
function numbersOf(path: string): number[] {
  try {
    return readFileSync(path, 'latin1').split(' ').filter(Boolean).map(Number);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (notKnownNow.has(code)) return [];
    throw error;
  }
}
