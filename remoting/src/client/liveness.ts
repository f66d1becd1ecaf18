import { wireLimits } from '../generated/wire.js';
import type { Timers } from '../timers.js';

/** Silence after which a client that waits for an answer asks whether the server is there, milliseconds. */
const silenceMsMax = 5000;

/** What is watched. */
export interface Watched {
  /** Grows whenever something comes. */
  readonly heard: number;
  readonly waitsForAnswer: boolean;
  ping(): void;
  /** Nothing came for `pongMs` after a PING. */
  onSilent(): void;
}

/** Finds out that the other side is gone where its stream does not end: a machine without power, a process that was stopped. */
export class Liveness {
  private heardBefore = 0;
  private isAsked = false;
  private stopTimer: () => void;

  constructor(
    private readonly watched: Watched,
    private readonly timers: Timers,
  ) {
    this.stopTimer = timers.after(silenceMsMax, this.look);
  }

  stop(): void {
    this.stopTimer();
  }

  private readonly look = (): void => {
    const { watched, timers } = this;
    const isSilent = watched.heard === this.heardBefore;
    if (isSilent && this.isAsked) {
      watched.onSilent();
      return;
    }
    this.heardBefore = watched.heard;
    this.isAsked = isSilent && watched.waitsForAnswer;
    if (this.isAsked) watched.ping();
    this.stopTimer = timers.after(this.isAsked ? wireLimits.pongMs : silenceMsMax, this.look);
  };
}
