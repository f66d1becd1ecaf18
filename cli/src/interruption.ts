import { constants } from 'node:os';

/** Time that a command gets to clean up after a signal. */
const graceMs = 3000;

/** The reason with which calls are aborted when the user or the system stops the command. */
export class Interrupted extends Error {
  override readonly name = 'AbortError';

  constructor(readonly exitCode: number) {
    super('interrupted');
  }
}

/**
 * A signal that aborts on SIGINT, SIGTERM and SIGHUP. What was being written is cleaned up on the way out; a second
 * signal, or cleaning that takes too long, ends the process at once (temporary files go even then, see atomic-file).
 */
export function abortOnInterruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      const exitCode = 128 + constants.signals[name];
      if (controller.signal.aborted) process.exit(exitCode);
      controller.abort(new Interrupted(exitCode));
      setTimeout(() => process.exit(exitCode), graceMs).unref();
    });
  }
  return controller.signal;
}
