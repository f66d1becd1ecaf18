import type { AxleError } from '@axle/core/internal';

import type { Authenticator } from '../trust/authenticator.js';
import type { DoorClient } from './door-clients.js';

/** Streams that outlive the request that opened them: each ends when what its sender came in by does not hold any more. */
export class Lapses {
  private readonly ends = new Map<(reason: AxleError) => void, DoorClient>();

  constructor(private readonly authenticator: Authenticator) {}

  /** @returns what is to be called when it is over. */
  watch(client: DoorClient, end: (reason: AxleError) => void): () => void {
    this.ends.set(end, client);
    return () => this.ends.delete(end);
  }

  /** Asked every so often, and when settings have changed. */
  expel(): void {
    for (const [end, { identity }] of this.ends) {
      const reason = this.authenticator.lapsed(identity);
      if (reason === undefined) continue;
      this.ends.delete(end);
      end(reason);
    }
  }
}
