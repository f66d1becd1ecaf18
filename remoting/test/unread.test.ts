import { once } from 'node:events';
import { Duplex } from 'node:stream';

import { describe, expect, it } from 'vitest';

import { Connection } from '../src/connection/connection.js';
import { Outbox } from '../src/connection/outbox.js';
import { FrameWriter } from '../src/wire/frame-writer.js';

const peer = { payloadBytesMax: 4096, connection: 64 * 1024, stream: 16 * 1024 };

describe('what the other side does not take', () => {
  it('ends the connection when it asks for ever more of it', async () => {
    let written = 0;
    const stuck = new Duplex({
      read: () => undefined,
      // Never done: nobody reads.
      write: (chunk: Uint8Array) => {
        written += chunk.byteLength;
      },
    });
    let reason: Error | undefined;
    const windows = { connection: 1 << 20, stream: 1 << 18 };
    new Connection(stuck, 'server', windows, peer, {
      onFrame: () => undefined,
      onStalled: () => undefined,
      onClosed: (error) => {
        reason = error;
      },
    });
    const writer = new FrameWriter();
    for (let id = 1; id <= 8; id++) writer.write({ type: 'PING', id });
    const pings = Buffer.concat(writer.take());
    let turns = 0;
    while (reason === undefined && ++turns < 20_000) {
      stuck.push(pings);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(reason).toMatchObject({ wireError: 'PING_FLOOD' });
    expect(stuck.writableLength).toBeLessThan(2 << 20);
    expect(written).toBeGreaterThan(0);
    stuck.destroy();
    await once(stuck, 'close');
  });

  it('is counted until it is written, or dropped', () => {
    const outbox = new Outbox({ pendingBytes: 0, send: () => undefined }, peer, (error) => {
      throw error;
    });
    outbox.sendData(1, new Uint8Array(40_000), false);
    outbox.sendData(2, new Uint8Array(10_000), false);
    expect(outbox.waitingBytes).toBe(50_000);
    outbox.flush();
    // Each handle has sent its stream window, in frames of 4096.
    expect(outbox.waitingBytes).toBe(50_000 - 4 * 4096 - 10_000);
    outbox.credit(1, 4096);
    outbox.flush();
    const left = outbox.waitingBytes;
    expect(left).toBe(50_000 - 5 * 4096 - 10_000);
    outbox.drop(1);
    expect(outbox.waitingBytes).toBe(0);
    expect(outbox.waitingFrames).toBe(0);
  });
});
