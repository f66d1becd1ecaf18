import { AxleError } from 'axle';

import type { CallNumber } from './call-store.js';
import type { QueuedCall } from './queued-call.js';

/** What is known of a call on disk without reading it. */
export interface Ticket {
  readonly number: CallNumber;
  readonly id: string;
  readonly functionName: string;
  /** Where its answer goes; '': nowhere. */
  readonly callbackHost: string;
  /** On disk: of the call without its bodies, of its body, of its answer. */
  readonly bytes: { readonly record: number; body: number; answer: number };
  /** `leaving`: given up, and somebody tries it again or throws it away. */
  state: 'live' | 'dead' | 'leaving';
}

/** Which ticket has an id, and when it is on disk. */
interface Accepted {
  readonly number: CallNumber;
  readonly stored: Promise<void>;
}

type Call = Pick<QueuedCall, 'id' | 'functionName' | 'headers' | 'callbackUrl'>;

/** Of a record on disk, about. */
const recordBytes = 512;

/** The calls on disk: their room, and which of them has an id. */
export class Tickets {
  private readonly all = new Map<CallNumber, Ticket>();
  private readonly accepted = new Map<string, Accepted>();
  private storedBytes = 0;
  private last = 0;

  get size(): number {
    return this.all.size;
  }

  /** On disk. */
  get bytes(): number {
    return this.storedBytes;
  }

  get counts(): { readonly waiting: number; readonly dead: number } {
    let dead = 0;
    for (const { state } of this.all.values()) if (state !== 'live') dead += 1;
    return { waiting: this.all.size - dead, dead };
  }

  /** Oldest first. @param max how many at most */
  dead(max: number): readonly Ticket[] {
    return [...this.all.values()].filter(({ state }) => state === 'dead').slice(0, max);
  }

  /** @throws AxleError NOT_FOUND */
  deadOf(number: CallNumber): Ticket {
    const ticket = this.all.get(number);
    if (ticket?.state === 'dead') return ticket;
    throw new AxleError(
      'NOT_FOUND',
      `there is no dead letter ${number}; GET /axle/v1/dead-letters lists them`,
    );
  }

  /** Settles when the call that has this id, and is to be done, is on disk; undefined: none has it. */
  acceptedAs(call: Pick<Call, 'id' | 'functionName'>): Promise<void> | undefined {
    return this.accepted.get(keyOf(call))?.stored;
  }

  /** Of all that are to be done: settles when they are on disk, or could not be. */
  async stored(): Promise<void> {
    await Promise.allSettled([...this.accepted.values()].map(({ stored }) => stored));
  }

  /** From now on it is the call that has its id. */
  accept(ticket: Ticket, stored: Promise<void>): void {
    this.accepted.set(keyOf(ticket), { number: ticket.number, stored });
  }

  /** Where another call has its id by now, that one keeps it. */
  forgetId(ticket: Ticket): void {
    const key = keyOf(ticket);
    if (this.accepted.get(key)?.number === ticket.number) this.accepted.delete(key);
  }

  /** Of a call with bodies of so many bytes. @param number that it has on disk; undefined: the next */
  add(call: Call, body: number, answer = 0, number = this.last + 1): Ticket {
    const { id, functionName, callbackUrl } = call;
    const callbackHost = callbackUrl === undefined ? '' : new URL(callbackUrl).host;
    const bytes = { record: recordBytesOf(call), body, answer };
    const ticket: Ticket = { number, id, functionName, callbackHost, bytes, state: 'live' };
    this.last = Math.max(this.last, number);
    this.all.set(number, ticket);
    this.storedBytes += bytes.record + body + answer;
    return ticket;
  }

  setBytes({ bytes }: Ticket, of: 'body' | 'answer', now: number): void {
    this.storedBytes += now - bytes[of];
    bytes[of] = now;
  }

  drop(ticket: Ticket): void {
    const { record, body, answer } = ticket.bytes;
    this.forgetId(ticket);
    this.all.delete(ticket.number);
    this.storedBytes -= record + body + answer;
  }
}

/** What a call takes on disk without its bodies, about. */
export function recordBytesOf({ headers }: Pick<Call, 'headers'>): number {
  return JSON.stringify(headers).length + recordBytes;
}

function keyOf({ functionName, id }: Pick<Ticket, 'functionName' | 'id'>): string {
  return `${functionName} ${id}`;
}
