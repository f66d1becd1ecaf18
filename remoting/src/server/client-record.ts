import { AxleError, type Cancellation } from '@axle/core/internal';

import { followingBytes } from '../tensors/incoming.js';
import type { CallFrame } from '../wire/frames.js';
import type { Front } from './front.js';
import type { KeptAnswers } from './kept-answers.js';
import { KeptCall } from './kept-call.js';
import { ReplayedCall } from './replayed-call.js';

/** Calls of one client that run on without a connection; more are cancelled with it. */
const detachedMax = 1024;

/** What a client's connection lets its record do. */
export interface ClientConnection {
  /** The client has another one. */
  supersede(): void;
}

/** One client over its connections: how far its handles came, and its calls that must not run twice. */
export class ClientRecord {
  /** It said that it leaves. */
  hasLeft = false;
  private readonly calls = new Map<number, KeptCall>();
  private current: ClientConnection | undefined;
  private highest = 0;
  private highestBefore = 0;

  constructor(
    readonly tenant: string,
    readonly nonce: string,
    private readonly answers: KeptAnswers,
  ) {}

  /** The highest handle that was accepted on connections before this one; 0 = none. */
  get lastHandle(): number {
    return this.highestBefore;
  }

  get connection(): ClientConnection | undefined {
    return this.current;
  }

  attach(connection: ClientConnection): void {
    this.current = connection;
    this.hasLeft = false;
    this.highestBefore = this.highest;
  }

  /**
   * The connection is gone.
   *
   * @param last the highest handle that was made on it
   * @returns the calls that run on, for whoever comes back.
   */
  detach(last: number): ReadonlySet<Cancellation> {
    this.current = undefined;
    this.highest = Math.max(this.highest, last);
    const spared = new Set<Cancellation>();
    for (const call of this.calls.values()) {
      call.front = undefined;
      if (call.running === undefined) continue;
      if (spared.size < detachedMax) spared.add(call.running);
      // It is cancelled somewhere on its way.
      else call.forget();
    }
    return spared;
  }

  /** A call of an op that is neither PURE nor IDEMPOTENT. */
  accept(id: number, front: Front): KeptCall {
    return new KeptCall(this.calls, this.answers, id, front);
  }

  /**
   * Decides on a call that was sent before: PROTOCOL.md section 12, the rules but 3.
   *
   * @returns whether it is taken care of; otherwise it is to run.
   * @throws AxleError ABORTED, outcome unknown
   */
  replay(front: Front, { id, inputs }: CallFrame): boolean {
    const call = this.calls.get(id);
    if (call === undefined) {
      if (this.lastHandle > 0 && id > this.lastHandle) return false;
      throw mayHaveRun();
    }
    if (!call.hasBegun) {
      call.forget();
      return false;
    }
    if (!call.answerAgain(front)) {
      front.hold(id, new ReplayedCall(front, call, followingBytes(inputs) > 0));
    }
    return true;
  }

  /** All answers up to a handle have come. */
  acknowledge(id: number): void {
    for (const call of this.calls.values()) {
      if (call.id <= id && call.running === undefined) call.forget();
    }
  }

  forgetAll(): void {
    for (const call of this.calls.values()) call.forget();
  }
}

/** Of a replay whose first run nobody here knows of. */
export function mayHaveRun(): AxleError {
  return new AxleError(
    'ABORTED',
    'outcome unknown, not retryable: this server does not know whether the call ran before its connection was lost, and its ' +
      'op is neither pure nor idempotent; look for its effect before it is tried again',
    { outcomeUnknown: true },
  );
}
