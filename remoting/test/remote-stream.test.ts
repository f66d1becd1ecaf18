import { duplexPair } from 'node:stream';

import { describe, expect, it } from 'vitest';

import { RemoteStream } from '../src/client/remote-stream.js';
import { loneClient } from './lone-client.js';

const KiB = 1024;

/** A stream to a server that has said nothing yet. */
function silentStream(): RemoteStream {
  const [near] = duplexPair();
  const client = loneClient(near);
  const stream = new RemoteStream(client, 1);
  const asked = { deadlineUs: 0, priority: 0, trace: undefined };
  client.ask({ type: 'STREAM', id: stream.id, binding: 99, ...asked }, stream);
  return stream;
}

describe('a stream to a server', () => {
  it('takes writes without waiting for what they give, until its window is full', async () => {
    const stream = silentStream();
    const piece = new Uint8Array(100 * KiB).fill(7);
    for (let i = 0; i < 10; i++) {
      const result = await stream.write(piece, false, KiB);
      expect(result).toMatchObject({ chunks: [], consumedBytes: 100 * KiB, more: false });
    }
    const held = stream.write(new Uint8Array(4096 * KiB), false, KiB);
    const ended = expect(held).rejects.toMatchObject({ code: 'CANCELLED' });
    await stream.close();
    await ended;
    await expect(stream.write(piece, true, KiB)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
