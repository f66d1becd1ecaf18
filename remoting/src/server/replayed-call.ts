import type { AxleError } from '@axle/core/internal';

import type { RawFrame } from '../wire/frame-splitter.js';
import type { Front } from './front.js';
import { Held } from './held.js';
import type { KeptCall } from './kept-call.js';

/** A CALL that came again while its first run goes on: it waits for the answer of that. */
export class ReplayedCall extends Held {
  /** @param bringsData its inputs come once more, and are dropped */
  constructor(
    private readonly front: Front,
    private readonly call: KeptCall,
    bringsData: boolean,
  ) {
    super();
    call.front = front;
    if (bringsData) front.expectData(call.id);
  }

  override onData(raw: RawFrame): void {
    this.front.usedData(this.call.id, raw.end - raw.start);
  }

  override cancel(reason: AxleError): void {
    this.call.running?.cancel(reason);
  }
}
