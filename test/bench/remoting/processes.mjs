import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Of the kernel's clock for processes, which is 100 a second on every Linux that Node runs on. */
const msPerTick = 10;

/**
 * CPU time of all threads of a process so far, ms.
 *
 * @param {number} pid
 */
export function cpuMsOf(pid) {
  // The name, in parentheses, may hold anything.
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
  const [userTicks, systemTicks] = [Number(fields[11]), Number(fields[12])];
  return (userTicks + systemTicks) * msPerTick;
}

/**
 * Where all threads of the processes may run.
 *
 * @param {readonly number[]} pids
 * @param {'anywhere' | 'one core'} place
 */
export function pin(pids, place) {
  const cores = place === 'anywhere' ? `0-${availableParallelism() - 1}` : '0';
  for (const pid of pids) {
    execFileSync('taskset', ['-a', '-p', '-c', cores, String(pid)], { stdio: 'ignore' });
  }
}
