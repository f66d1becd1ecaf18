import type { Cancellation } from '@axle/core/internal';

import type { Front } from './front.js';
import type { KeptAnswers } from './kept-answers.js';

/** Sends the answer of a call on a connection of its client. */
export type Answer = (front: Front) => void;

/**
 * What is remembered of a call that must not run twice: from when it is accepted until its answer is acknowledged. It
 * outlives the connection that it came over.
 */
export class KeptCall {
  /** A device may have it from now on: what ends it early. */
  running: Cancellation | undefined = undefined;
  /** Of its answer. */
  bytes = 0;
  private answer: Answer | undefined = undefined;

  constructor(
    private readonly calls: Map<number, KeptCall>,
    private readonly answers: KeptAnswers,
    readonly id: number,
    /** Where its answer goes; undefined: its client has no connection, or has not asked again. */
    public front: Front | undefined,
  ) {
    calls.set(id, this);
    // Until it runs there is little to lose: without it, its replay is ABORTED.
    answers.add(this);
  }

  get hasBegun(): boolean {
    return this.running !== undefined || this.answer !== undefined;
  }

  begin(cancellation: Cancellation): void {
    this.running = cancellation;
    this.answers.remove(this);
    this.calls.set(this.id, this);
  }

  /** It is answered: on its client's connection if it has one, and again when it is asked again. */
  settle(answer: Answer, bytes: number): void {
    this.answers.remove(this);
    this.running = undefined;
    this.answer = answer;
    this.bytes = bytes;
    if (this.calls.get(this.id) === this) this.answers.add(this);
    const { front } = this;
    this.front = undefined;
    if (front !== undefined) answer(front);
  }

  /** @returns whether its answer was there. */
  answerAgain(front: Front): boolean {
    this.answer?.(front);
    return this.answer !== undefined;
  }

  forget(): void {
    this.answers.remove(this);
    if (this.calls.get(this.id) === this) this.calls.delete(this.id);
  }
}
