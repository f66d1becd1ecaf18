import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';

import { AxleError, SharedMemory } from '@axle/core/internal';

import { wireLimits } from '../generated/wire.js';
import { ServerArena } from '../shared-memory/server-arena.js';
import type { Ledger } from '../trust/ledger.js';
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

/** Makes shared memory for the connections of a server, within the quotas of their tenants, and hands it over. */
export class ArenaOffers {
  private readonly offered = new Map<string, Offered>();

  /** @param arenaBytes of each connection; 0: there is none. */
  constructor(private readonly arenaBytes: number) {}

  /**
   * For a connection of the tenant whose usage it is.
   *
   * @returns undefined: there is none to have, and the connection does without.
   */
  offer(usage: Ledger): ArenaOffer | undefined {
    const { arenaBytes } = this;
    if (arenaBytes === 0) return undefined;
    const memory = made(arenaBytes, usage);
    if (memory === undefined) return undefined;
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
        usage.give('sharedMemoryBytes', arenaBytes);
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

function made(bytes: number, usage: Ledger): SharedMemory | undefined {
  try {
    usage.take('sharedMemoryBytes', bytes);
  } catch (error) {
    return withoutIt(error);
  }
  try {
    return new SharedMemory(bytes);
  } catch (error) {
    usage.give('sharedMemoryBytes', bytes);
    return withoutIt(error);
  }
}

/** Slower, and right. */
function withoutIt(error: unknown): undefined {
  if (!(error instanceof AxleError)) throw error;
}
