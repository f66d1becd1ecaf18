import { setTimeout as delay } from 'node:timers/promises';

import { GuestError } from './guest-error.js';
import { joinGuest, type JoinOptions } from './join-guest.js';

/** Before the first new try, and at most; each wait is twice the one before, milliseconds. */
export const rejoinMs = { first: 100, most: 5000 } as const;
/** What a guest that boots, or its monitor, may yet become. */
const passing = new Set(['NOT_FOUND', 'UNAVAILABLE', 'DEADLINE_EXCEEDED']);

export interface KeepJoinedOptions extends Omit<JoinOptions, 'signal'> {
  readonly signal: AbortSignal;
  /** The guest left, or its connection was lost. */
  readonly onLeft?: (() => void) | undefined;
  /** A try failed; told once for each reason until one succeeds. `inMs`: when the next one is. */
  readonly onRefused?: ((reason: GuestError, inMs: number) => void) | undefined;
}

/**
 * As joinGuest, again and again: a guest that boots, leaves, or is started anew is joined as soon as it listens, and so is one
 * whose server was started anew. Tries that fail wait for longer each time, so that a guest which never comes costs nothing.
 *
 * @throws as `signal` says, which ends it.
 */
export async function keepJoined(options: KeepJoinedOptions): Promise<never> {
  const { signal, onJoined, onLeft, onRefused } = options;
  let waitMs: number = rejoinMs.first;
  let told = '';
  for (;;) {
    let isJoined = false;
    try {
      await joinGuest({
        ...options,
        onJoined: () => {
          isJoined = true;
          onJoined?.();
        },
      });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof GuestError) || !passing.has(error.code)) throw error;
      if (error.message !== told) onRefused?.(error, waitMs);
      told = error.message;
    }
    if (isJoined) {
      onLeft?.();
      told = '';
      waitMs = rejoinMs.first;
    }
    // Also after one that was joined: a guest that hangs up at once is not to be asked without end.
    await delay(waitMs, undefined, { signal }).catch(() => {
      signal.throwIfAborted();
    });
    if (!isJoined) waitMs = Math.min(2 * waitMs, rejoinMs.most);
  }
}
