import type { Duplex } from 'node:stream';

import type { ConnectionTimes } from '../src/connection/times.js';
import { noCredentials } from '../src/client/credentials.js';
import { WireClient } from '../src/client/wire-client.js';
import { systemTimers } from '../src/timers.js';

/** The client's side of one connection, without a session: what is lost has failed. */
export function loneClient(stream: Duplex, times?: ConnectionTimes): WireClient {
  const options = { nonce: new Uint8Array(16), timers: systemTimers, credentials: noCredentials };
  return new WireClient(
    stream,
    { ...options, times },
    {
      onWelcome: () => undefined,
      onLeaving: () => undefined,
      onClosed: (_client, reason, unanswered) => {
        for (const { answer } of unanswered) answer.onFailed(reason);
      },
    },
  );
}
