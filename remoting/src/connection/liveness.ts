import type { ConnectionTimes } from './times.js';

/** Asks a side that says nothing for a sign of life. */
export class Liveness {
  private hasHeard = false;
  private readonly timer: NodeJS.Timeout;
  private pongTimer: NodeJS.Timeout | undefined = undefined;

  constructor(
    { pingAfterMs, pongMs }: ConnectionTimes,
    private readonly ping: () => void,
    private readonly onLost: () => void,
  ) {
    this.timer = setInterval(() => {
      this.look(pongMs);
    }, pingAfterMs).unref();
  }

  /** Something came. */
  heard(): void {
    this.hasHeard = true;
  }

  stop(): void {
    clearInterval(this.timer);
    clearTimeout(this.pongTimer);
  }

  private look(pongMs: number): void {
    if (this.hasHeard) {
      this.hasHeard = false;
      clearTimeout(this.pongTimer);
      this.pongTimer = undefined;
      return;
    }
    if (this.pongTimer !== undefined) return;
    this.pongTimer = setTimeout(() => {
      this.pongTimer = undefined;
      if (!this.hasHeard) this.onLost();
    }, pongMs).unref();
    this.ping();
  }
}
