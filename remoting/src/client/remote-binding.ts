import type { AxleError } from '@axle/core/internal';

import type { BindFrame } from '../wire/frames.js';
import type { Journalled } from './journal.js';
import type { PendingAnswer } from './pending-answer.js';
import type { WireClient } from './wire-client.js';

/** A BIND that calls name. */
export class RemoteBinding implements Journalled, PendingAnswer {
  private wasBound = false;
  private hasFailed = false;
  /** What the outputs of its last call would take of shared memory, bytes. */
  outputBytes = 0;

  /** @param isRepeatable its op is PURE or IDEMPOTENT: calls of it may run a second time */
  constructor(
    private readonly frame: BindFrame,
    readonly isRepeatable: boolean,
    /** Its model. */
    readonly needs: Journalled | undefined,
    private readonly failed: (binding: RemoteBinding, error: AxleError) => void,
  ) {}

  get id(): number {
    return this.frame.id;
  }

  sendOn(client: WireClient): void {
    client.ask(this.frame, this);
  }

  /** It was good once, and is not on the server that is there now: its device is gone. */
  get isGone(): boolean {
    return this.wasBound && this.hasFailed;
  }

  onFrame(): boolean {
    this.wasBound = true;
    return true;
  }

  /** Calls fail with what their binding fails with. */
  onFailed(error: AxleError): void {
    this.hasFailed = true;
    this.failed(this, error);
  }

  onLost(): void {
    // The journal has it.
  }
}
