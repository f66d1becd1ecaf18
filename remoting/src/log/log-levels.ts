import type { Log, LogLevel } from './log.js';

/** Which levels of lines are written; changed while the server runs. */
export class LogLevels {
  private readonly silent = new Set<LogLevel>();

  writes(level: LogLevel): boolean {
    return !this.silent.has(level);
  }

  set(level: LogLevel, isWritten: boolean): void {
    if (isWritten) this.silent.delete(level);
    else this.silent.add(level);
  }

  /** The same log without lines of levels that are silent when they come. */
  filter(log: Log): Log {
    return (message, fields) => {
      if (this.writes(fields?.level ?? 'info')) log(message, fields);
    };
  }
}
