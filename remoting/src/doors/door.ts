import type { Socket } from 'node:net';

import type { DoorConnection } from './door-clients.js';

/** One protocol on the connections of one listener. */
export interface Door {
  /** What it speaks under TLS (RFC 7301). */
  readonly alpn: readonly string[];
  /** A new connection, TLS taken off. */
  accept(stream: Socket, connection: DoorConnection): void;
  /** Takes nothing new; resolves when all that was taken is answered. */
  drain(): Promise<void>;
  /** Ends everything. */
  close(): void;
}
