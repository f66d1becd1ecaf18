import { wireLimits } from '../generated/wire.js';

/** How long a connection waits for the other side, milliseconds. */
export interface ConnectionTimes {
  /** For credit. */
  readonly stallMs: number;
  /** For a frame, before it sends PING. */
  readonly pingAfterMs: number;
  /** For a frame after PING. */
  readonly pongMs: number;
}

export const defaultTimes: ConnectionTimes = {
  stallMs: wireLimits.stallMs,
  pingAfterMs: 15_000,
  pongMs: wireLimits.pongMs,
};
