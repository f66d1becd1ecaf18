import { Readable } from 'node:stream';

import type { IncomingBody } from './incoming-body.js';

/** The body of an answer as a stream for doors. */
export class AnswerBody extends Readable {
  /** @param onLeft called when it is destroyed before all of it had come. */
  constructor(
    private readonly incoming: IncomingBody,
    private readonly onLeft: () => void,
  ) {
    super();
  }

  override _read(): void {
    const { incoming } = this;
    incoming.wake = undefined;
    try {
      for (;;) {
        const taken = incoming.take();
        if (taken === 'wait') break;
        if (!this.push(taken === 'end' ? null : taken) || taken === 'end') return;
      }
      incoming.wake = () => {
        this._read();
      };
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.incoming.wake = undefined;
    if (!this.incoming.isWhole) this.onLeft();
    done(error);
  }
}
