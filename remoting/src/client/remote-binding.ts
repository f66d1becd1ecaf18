import type { AxleError } from '@axle/core/internal';

import type { BindFrame } from '../wire/frames.js';
import type { Journalled } from './journal.js';
import type { PendingAnswer } from './pending-answer.js';
import type { WireClient } from './wire-client.js';

/** A BIND that calls name. */
export class RemoteBinding implements Journalled, PendingAnswer {
  /** @param isRepeatable its op is PURE or IDEMPOTENT: calls of it may run a second time */
  constructor(
    private readonly frame: BindFrame,
    readonly isRepeatable: boolean,
    private readonly failed: (binding: RemoteBinding) => void,
  ) {}

  get id(): number {
    return this.frame.id;
  }

  sendOn(client: WireClient): void {
    client.ask(this.frame, this);
  }

  onFrame(): boolean {
    return true;
  }

  /** Calls fail with what their binding fails with. */
  onFailed(_error: AxleError): void {
    this.failed(this);
  }

  onLost(): void {
    // The journal has it.
  }
}
