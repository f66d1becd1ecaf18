import { constants } from 'node:os';

/** Time that a command gets to clean up after a signal. */
const cleanUpMs = 3000;

/** The reason with which calls are aborted when the user or the system stops the command. */
export class Interrupted extends Error {
  override readonly name = 'AbortError';

  constructor(readonly exitCode: number) {
    super('interrupted');
  }
}

/** How a command hears that it is to stop. */
export class Interruption {
  private readonly controller = new AbortController();
  private graceMs = cleanUpMs;
  private drains = false;
  private hangup: (() => void) | undefined;

  /**
   * Listens to SIGINT, SIGTERM and SIGHUP. What was being written is cleaned up on the way out; a second signal, or
   * cleaning that takes too long, ends the process at once (temporary files go even then, see atomic-file).
   */
  constructor() {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(name, () => {
        if (name === 'SIGHUP' && this.hangup !== undefined) this.hangup();
        else this.stop(128 + constants.signals[name]);
      });
    }
  }

  /** Aborts when the command is to stop. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** For servers: a signal is their ordinary end, with exit code 0, for which they have this long. */
  drainWithin(graceMs: number): void {
    this.drains = true;
    this.graceMs = graceMs;
  }

  /** For servers: SIGHUP is no end, but asks them to read their settings again. */
  onHangup(listener: () => void): void {
    this.hangup = listener;
  }

  private stop(exitCode: number): void {
    if (this.signal.aborted) process.exit(exitCode);
    this.controller.abort(new Interrupted(this.drains ? 0 : exitCode));
    setTimeout(() => process.exit(exitCode), this.graceMs).unref();
  }
}
