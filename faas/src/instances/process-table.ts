import { readdirSync, readFileSync } from 'node:fs';

/** Of a page on the machines that this runs on, bytes: /proc/PID/statm counts pages. */
const pageBytes = 4096;
/** Of times in /proc/PID/stat, a second: Linux gives programs 100 on every machine. */
const ticksPerSecond = 100;
/** Over which the use of processors is told, milliseconds. */
const rateMs = 1000;

/** What the processes of an instance use together. */
export interface ProcessUsage {
  /** What is theirs alone, without files and memory that others may share. */
  readonly memoryBytes: number;
  /** Processors that were busy with them of late: 1 is all of one. */
  readonly cpus: number;
}

interface SeenProcess {
  /** The leader of its session, or of that of the one that started it. */
  readonly root: number;
  /** Tells it from a later process of the same number. */
  readonly startedAt: number;
}

interface Group {
  memoryBytes: number;
  ticks: number;
  cpus: number;
  /** Where the rate is counted from. */
  readonly from: { ticks: number; at: number };
}

const nothing: ProcessUsage = { memoryBytes: 0, cpus: 0 };

/**
 * Which processes belong to which instance: those of the session that its first process leads, and those that left it,
 * where they were seen as children of one of it. It is looked at a few times a second; what starts, leaves its session and
 * loses its parent between two looks is not seen.
 */
export class ProcessTable {
  private seen = new Map<number, SeenProcess>();
  private readonly groups = new Map<number, Group>();

  /** @param now milliseconds on a clock that never goes back. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** @param leader of a session */
  add(leader: number): void {
    this.groups.set(leader, {
      ...{ memoryBytes: 0, ticks: 0, cpus: 0 },
      from: { ticks: 0, at: this.now() },
    });
  }

  /** Its instance has ended: those that left its session end, too. */
  remove(leader: number | undefined): void {
    // Of one that did not start, and what was never added, such as session 0, nothing is ours to end.
    if (leader === undefined || !this.groups.delete(leader)) return;
    for (const [pid, { root, startedAt }] of this.seen) {
      const isLeft = root === leader && statOf(pid)?.startedAt === startedAt;
      if (isLeft) kill(pid);
    }
  }

  /** As of the last look. */
  usageOf(leader: number | undefined): ProcessUsage {
    return (leader === undefined ? undefined : this.groups.get(leader)) ?? nothing;
  }

  look(): void {
    this.find();
    const members = new Map<number, number[]>();
    for (const [pid, { root }] of this.seen) {
      if (!this.groups.has(root)) continue;
      const pids = members.get(root);
      if (pids === undefined) members.set(root, [pid]);
      else pids.push(pid);
    }
    for (const [leader, group] of this.groups) this.count(group, members.get(leader) ?? []);
  }

  /** What is known is not read again: a process joins no session but its own. */
  private find(): void {
    const before = this.seen;
    const seen = new Map<number, SeenProcess>();
    for (const name of readdirSync('/proc')) {
      const pid = Number(name);
      if (!Number.isInteger(pid)) continue;
      const known = before.get(pid);
      if (known !== undefined) {
        seen.set(pid, known);
        continue;
      }
      const stat = statOf(pid);
      if (stat === undefined) continue;
      const { parent, session, startedAt } = stat;
      // Parents have lower numbers, but for when numbers begin again: then its session decides.
      const above = (seen.get(parent) ?? before.get(parent))?.root;
      const isOfInstance = above !== undefined && this.groups.has(above);
      seen.set(pid, { root: isOfInstance ? above : session, startedAt });
    }
    this.seen = seen;
  }

  private count(group: Group, pids: readonly number[]): void {
    let pages = 0;
    let ticks = 0;
    for (const pid of pids) {
      // See proc_pid_statm(5): size, resident, shared.
      const [, resident = 0, shared = 0] = (textOf(`/proc/${pid}/statm`) ?? '')
        .split(' ')
        .map(Number);
      pages += resident - shared;
      ticks += statOf(pid)?.ticks ?? 0;
    }
    const { from } = group;
    group.memoryBytes = pages * pageBytes;
    // Of processes that ended without anybody waiting for them, no time is left.
    group.ticks = Math.max(group.ticks, ticks);
    const now = this.now();
    const ms = now - from.at;
    if (ms < rateMs) return;
    group.cpus = ((group.ticks - from.ticks) / ticksPerSecond / ms) * 1000;
    from.ticks = group.ticks;
    from.at = now;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

interface ProcessStat {
  readonly parent: number;
  readonly session: number;
  /** Of processors, its own and of its children that ended. */
  readonly ticks: number;
  readonly startedAt: number;
}

/** Undefined: it is gone, or not known now. See proc_pid_stat(5). */
function statOf(pid: number): ProcessStat | undefined {
  const text = textOf(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The name before may have spaces and parentheses. The first field behind it is the third.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  const ticks = field(14) + field(15) + field(16) + field(17);
  return { parent: field(4), session: field(6), ticks, startedAt: field(22) };
}

/** The process ended, or this one has no more files to look with: it looks again soon. */
const notKnownNow = new Set(['ENOENT', 'ESRCH', 'EMFILE', 'ENFILE', 'EACCES']);

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (notKnownNow.has(code)) return undefined;
    throw error;
  }
}
