import { spawn, type ChildProcess } from 'node:child_process';

/**
 * Begins the group's watcher, which ends all of it when file 4 ends: when this process does, however it does, and whatever
 * the program is busy with. No core files: they would be as large as the program.
 */
const watcher =
  'ulimit -c 0; (trap "" HUP INT TERM; exec 3<&- >/dev/null 2>&1; read _ <&4; kill -9 0) & exec "$@" 4<&-';

export interface GroupOptions {
  readonly folder: string;
  /** All that the program's environment has. */
  readonly environment: Readonly<Record<string, string>>;
  /**
   * `served`: file 3 is a socket, and all that is printed comes on `stdio[1]`. `filter`: the standard three, with what is
   * printed beside the output on `stdio[2]`.
   */
  readonly kind: 'served' | 'filter';
}

/** Runs a program as the leader of a process group. Its `stdio[4]` is to be left open as long as it is to run. */
export function spawnGroup(
  program: string,
  args: readonly string[],
  { folder, environment, kind }: GroupOptions,
): ChildProcess {
  const isServed = kind === 'served';
  const script = isServed ? `${watcher} 2>&1` : watcher;
  return spawn('/bin/sh', ['-c', script, 'sh', program, ...args], {
    cwd: folder,
    env: environment,
    detached: true,
    stdio: isServed
      ? ['ignore', 'pipe', 'ignore', 'pipe', 'pipe']
      : ['pipe', 'pipe', 'pipe', 'ignore', 'pipe'],
  });
}

/** Ends all processes of the group. It is there as long as its leader has not been waited for, or others are in it. */
export function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
