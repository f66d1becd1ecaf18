import { spawn, type ChildProcess } from 'node:child_process';

/**
 * Runs a program as the leader of a process group, with a watcher in the group that ends all of it when `lifeFile` ends:
 * when this process does, however it does, and whatever the program is busy with. What it prints on standard error goes
 * where standard output goes. No core files: they would be as large as the program.
 */
const script =
  'ulimit -c 0; (trap "" HUP INT TERM; exec 3<&- >/dev/null 2>&1; read _ <&4; kill -9 0) & exec "$@" 4<&- 2>&1';

export interface GroupOptions {
  readonly folder: string;
  /** All that the program's environment has. */
  readonly environment: Readonly<Record<string, string>>;
  /** Standard input, and file 3, which is a socket. */
  readonly input: 'pipe' | 'ignore';
  readonly channel: boolean;
}

/** Its `stdio[1]` is what it prints; `stdio[4]` is to be left alone. */
export function spawnGroup(
  program: string,
  args: readonly string[],
  { folder, environment, input, channel }: GroupOptions,
): ChildProcess {
  return spawn('/bin/sh', ['-c', script, 'sh', program, ...args], {
    cwd: folder,
    env: environment,
    detached: true,
    stdio: [input, 'pipe', 'ignore', channel ? 'pipe' : 'ignore', 'pipe'],
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
