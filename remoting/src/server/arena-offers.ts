import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';

import { AxleError, SharedMemory } from '@axle/core/internal';

import { wireLimits } from '../generated/wire.js';
import { ServerArena } from '../shared-memory/server-arena.js';
import { FrameWriter } from '../wire/frame-writer.js';

/** The arena that each connection is offered; with GUEST_MEMORY, 0 is the guest's. */
export const arenaId = 1;
const ticketBytes = 16;

/** Shared memory that was made for one connection. */
export interface ArenaOffer {
  readonly arena: ServerArena;
  readonly bytes: number;
  /** Shows whose it is when it is fetched; good once, for `ticketMs`. */
  readonly ticket: Uint8Array;
  /** The connection has ended. */
  end(): void;
}

interface Offered {
  readonly memory: SharedMemory;
  readonly expiry: NodeJS.Timeout;
}

/** Makes shared memory for the connections of a server, within a limit for all of them, and hands it over. */
export class ArenaOffers {
  private readonly offered = new Map<string, Offered>();
  private bytesInUse = 0;

  /**
   * @param arenaBytes of each connection; 0: there is none.
   * @param bytesMax of all connections: those past it are offered none.
   */
  constructor(
    private readonly arenaBytes: number,
    private readonly bytesMax: number,
  ) {}

  /** Undefined: there is none to have, and the connection does without. */
  offer(): ArenaOffer | undefined {
    const { arenaBytes } = this;
    if (arenaBytes === 0 || this.bytesInUse + arenaBytes > this.bytesMax) return undefined;
    let memory: SharedMemory;
    try {
      memory = new SharedMemory(arenaBytes);
    } catch (error) {
      if (error instanceof AxleError) return undefined;
      throw error;
    }
    this.bytesInUse += arenaBytes;
    const ticket = randomBytes(ticketBytes);
    const key = ticket.toString('hex');
    const expiry = setTimeout(() => {
      this.withdraw(key);
    }, wireLimits.ticketMs);
    this.offered.set(key, { memory, expiry });
    return {
      arena: new ServerArena(arenaId, memory.memory),
      bytes: arenaBytes,
      ticket,
      end: () => {
        this.withdraw(key);
        this.bytesInUse -= arenaBytes;
      },
    };
  }

  /**
   * Answers ATTACH, with the memory.
   *
   * @throws AxleError PERMISSION_DENIED for a ticket that is not good, or not any more; UNAVAILABLE.
   */
  handOver(ticket: Uint8Array, socket: Socket): void {
    const key = Buffer.from(ticket).toString('hex');
    const offered = this.offered.get(key);
    if (offered === undefined) {
      throw new AxleError('PERMISSION_DENIED', 'the ticket is not good; connect again for another');
    }
    const writer = new FrameWriter();
    writer.write({
      type: 'ATTACHED',
      id: 0,
      arena: arenaId,
      bytes: offered.memory.memory.byteLength,
    });
    try {
      offered.memory.sendOver(socket, Buffer.concat(writer.take()));
    } finally {
      this.withdraw(key);
    }
  }

  private withdraw(key: string): void {
    const offered = this.offered.get(key);
    if (offered === undefined) return;
    this.offered.delete(key);
    clearTimeout(offered.expiry);
    offered.memory.seal();
  }
}
