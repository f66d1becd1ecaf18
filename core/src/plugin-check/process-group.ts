import { readdirSync, readFileSync } from 'node:fs';

/** Ends all processes of a group, if there are any. */
export function endGroup(group: number): void {
  signalGroup(group, 'SIGKILL');
}

/** How many processes of a group run. One that ended and that nobody has waited for yet does not count. */
export function groupSize(group: number): number {
  // Asked first because looking through all processes takes milliseconds.
  return signalGroup(group, 0) ? readdirSync('/proc').filter(runsIn(group)).length : 0;
}

function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

function runsIn(group: number): (entry: string) => boolean {
  return (entry) => {
    if (!/^\d+$/.test(entry)) return false;
    // See proc_pid_stat(5): the name, in parentheses, may hold anything; then state, parent, group.
    const fields = statOf(entry)
      .replace(/^.*\) /s, '')
      .split(' ');
    return Number(fields[2]) === group && fields[0] !== 'Z';
  };
}

/** Empty when the process ended meanwhile. */
function statOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return '';
    throw error;
  }
}
