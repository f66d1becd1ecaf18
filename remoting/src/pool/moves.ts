/** Why work leaves a server: it is to be emptied, it said that it leaves, or it was lost. */
export type MoveReason = 'drain' | 'leave' | 'loss';

/** What became of the work that a server had. */
export interface MoveReport {
  readonly server: string;
  readonly reason: MoveReason;
  /** When it began, as ISO 8601. */
  readonly at: string;
  /** It still has work. */
  readonly isOver: boolean;
  /** Models that were loaded elsewhere before anything was taken from it. */
  readonly models: number;
  /** What that took, during which it worked on, milliseconds. */
  readonly preparedMs: number;
  /** Tasks that were taken from it. */
  readonly tasks: number;
  /** The longest that one of them stood still: from when it was taken away until its answer from elsewhere, milliseconds. */
  readonly pauseMs: number;
}

/** Moves that are remembered. */
const movesMax = 32;

/** Work on its way from one server to others. */
export class Move implements MoveReport {
  isOver = false;
  models = 0;
  preparedMs = 0;
  tasks = 0;
  pauseMs = 0;

  constructor(
    readonly server: string,
    readonly reason: MoveReason,
    readonly at: string,
  ) {}
}

/** A task that was taken from a server, and is not answered. */
export interface MovedTask {
  readonly move: Move;
  /** On the clock of `performance`. */
  readonly takenAt: number;
}

/** All that moved between the servers of a pool, and for how long it stood still. */
export class Moves {
  private readonly latest: Move[] = [];
  /** By server; the one that is under way. */
  private readonly current = new Map<string, Move>();
  private paused = 0;
  private pausedSumMs = 0;

  /** @param clock milliseconds */
  constructor(
    private readonly clock: () => number,
    private readonly date: () => Date = () => new Date(),
  ) {}

  /** The last ones, from old to new. */
  get reports(): readonly MoveReport[] {
    return this.latest;
  }

  /** Of each server from which work left of late. */
  get lastOfEach(): Iterable<MoveReport> {
    return new Map(this.latest.map((move) => [move.server, move])).values();
  }

  /** Tasks that went on elsewhere and were answered. */
  get pausedTasks(): number {
    return this.paused;
  }

  /** How long they stood still together. */
  get pausedMs(): number {
    return this.pausedSumMs;
  }

  /** Work leaves the server from now on. */
  begin(server: string, reason: MoveReason): Move {
    const known = this.current.get(server);
    if (known?.reason === reason) return known;
    if (known !== undefined) known.isOver = true;
    const move = new Move(server, reason, this.date().toISOString());
    this.current.set(server, move);
    this.latest.push(move);
    if (this.latest.length > movesMax) this.latest.shift();
    return move;
  }

  /** It works again, or it is empty. */
  end(server: string): Move | undefined {
    const move = this.current.get(server);
    if (move === undefined) return undefined;
    this.current.delete(server);
    move.isOver = true;
    return move;
  }

  /** Takes a task from a server. */
  take(server: string): MovedTask | undefined {
    const move = this.current.get(server);
    if (move === undefined) return undefined;
    move.tasks += 1;
    return { move, takenAt: this.clock() };
  }

  /** It was answered elsewhere. */
  arrived({ move, takenAt }: MovedTask): void {
    const pauseMs = this.clock() - takenAt;
    move.pauseMs = Math.max(move.pauseMs, pauseMs);
    this.paused += 1;
    this.pausedSumMs += pauseMs;
  }
}

/** For logs. */
export function moveText({ models, preparedMs, tasks, pauseMs }: MoveReport): string {
  const ahead =
    models === 0 ? '' : `${models} models were loaded elsewhere in ${preparedMs.toFixed(0)} ms, `;
  const moved =
    tasks === 0
      ? 'no task was moved'
      : `${tasks} tasks were moved, which stood still for ${pauseMs.toFixed(1)} ms at most`;
  return `${ahead}${moved}`;
}
