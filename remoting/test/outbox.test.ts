import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Outbox, type ByteSink } from '../src/connection/outbox.js';
import { ReceiveWindow } from '../src/connection/window.js';
import { wireLimits } from '../src/generated/wire.js';
import { decodeFrame } from '../src/wire/decode-frame.js';
import type { Frame } from '../src/wire/frames.js';
import { FrameSplitter } from '../src/wire/frame-splitter.js';
import { headerBytes } from '../src/wire/numbers.js';

const peer = { payloadBytesMax: 4096, connection: 64 * 1024, stream: 16 * 1024 };

/** Takes what an outbox hands over, and reads it as the server would. */
class Wire implements ByteSink {
  readonly frames: { readonly frame: Frame; readonly bytes: number }[] = [];
  pendingBytes = 0;
  private readonly splitter = new FrameSplitter('client');
  private onSent: (() => void)[] = [];

  send(parts: readonly Uint8Array[], onSent?: () => void): void {
    for (const part of parts) {
      this.pendingBytes += part.byteLength;
      this.splitter.push(Buffer.from(part), (raw) => {
        const bytes = raw.end - raw.start + headerBytes;
        this.frames.push({ frame: decodeFrame(raw), bytes });
      });
    }
    if (onSent !== undefined) this.onSent.push(onSent);
  }

  /** The operating system has sent all. */
  sent(): void {
    this.pendingBytes = 0;
    const due = this.onSent;
    this.onSent = [];
    for (const each of due) each();
  }

  get types(): string[] {
    return this.frames.map(({ frame }) => `${frame.type} ${frame.id}`);
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

function release(id: number): Frame {
  return { type: 'RELEASE', id };
}

function fail(error: unknown): never {
  throw error;
}

function boxOver(wire: Wire): Outbox {
  return new Outbox(wire, peer, fail);
}

describe('an outbox', () => {
  it('writes what is said in one turn together, control first', async () => {
    const wire = new Wire();
    const box = boxOver(wire);
    let writes = 0;
    const send = wire.send.bind(wire);
    wire.send = (parts, onSent) => {
      writes += 1;
      send(parts, onSent);
    };
    box.send(release(1));
    box.send(release(2));
    box.send({ type: 'PING', id: 7 });
    await turn();
    expect(wire.types).toEqual(['RELEASE 1', 'RELEASE 2', 'PING 7']);
    expect(writes).toBe(1);
  });

  it('lets small frames overtake the data of others, which takes turns', async () => {
    const wire = new Wire();
    const box = boxOver(wire);
    box.send(release(1));
    box.sendData(1, new Uint8Array(8000), false);
    box.sendData(2, new Uint8Array(8000), false);
    box.send(release(3));
    await turn();
    expect(wire.types.slice(0, 2)).toEqual(['RELEASE 1', 'RELEASE 3']);
    expect(wire.types.slice(2)).toEqual(['DATA 1', 'DATA 2', 'DATA 1', 'DATA 2']);
  });

  it('goes on when credit comes, and sends no data before the frame that announces it', async () => {
    const wire = new Wire();
    const box = boxOver(wire);
    // Until no frame fits the window any more.
    const frameBytes = headerBytes;
    const fitting =
      Math.floor((peer.connection - peer.payloadBytesMax - headerBytes) / frameBytes) + 1;
    for (let id = 1; id <= fitting + 5; id++) box.send(release(id));
    box.sendData(fitting + 5, new Uint8Array(100), true);
    await turn();
    expect(wire.frames).toHaveLength(fitting);
    box.credit(0, peer.connection);
    await turn();
    expect(wire.types.slice(-2)).toEqual([`RELEASE ${fitting + 5}`, `DATA ${fitting + 5}`]);
  });

  it('sends no data before its announcement either when data is due after many small frames', async () => {
    const wire = new Wire();
    const box = new Outbox(wire, { ...peer, connection: 1 << 24 }, fail);
    let id = 0;
    while (wire.pendingBytes < wireLimits.bulkAheadBytesMax) {
      for (let i = 0; i < 1000; i++) box.send(release(++id));
      await turn();
    }
    for (let i = 0; i < 10; i++) box.send(release(++id));
    box.sendData(id, new Uint8Array(100), true);
    // Others that are cancelled where they wait do not let it overtake.
    for (let other = id + 1; other <= id + 3000; other++) box.send(release(other));
    for (let other = id + 1; other <= id + 3000; other++) expect(box.cancel(other)).toBe(false);
    for (let i = 0; i < 10; i++) {
      wire.sent();
      await turn();
    }
    expect(wire.types.slice(-2)).toEqual([`RELEASE ${id}`, `DATA ${id}`]);
  });

  it('answers for a frame that it still held when its handle was cancelled', async () => {
    const wire = new Wire();
    const box = boxOver(wire);
    box.send(release(1));
    expect(box.cancel(1)).toBe(true);
    while (wire.pendingBytes === 0) {
      for (let id = 2; id < 10_000; id++) box.send(release(id));
      await turn();
    }
    box.sendData(9_999, new Uint8Array(100), true);
    expect(box.cancel(9_999)).toBe(false);
    box.credit(0, 1 << 20);
    wire.sent();
    await turn();
    expect(wire.types).toContain('CANCEL 1');
    expect(wire.types).toContain('RELEASE 9998');
    expect(wire.types.filter((type) => type.endsWith(' 9999'))).toEqual([]);
  });

  it('says when all is handed over', async () => {
    const wire = new Wire();
    const box = boxOver(wire);
    let empty = false;
    box.sendData(1, new Uint8Array(40_000), true);
    box.whenEmpty(() => {
      empty = true;
    });
    await turn();
    expect(empty).toBe(false);
    box.credit(1, 40_000);
    box.credit(0, 40_000);
    await turn();
    expect(empty).toBe(true);
  });

  it('keeps to the windows, loses and changes nothing, whatever comes in whatever order', async () => {
    const action = fc.oneof(
      { weight: 4, arbitrary: fc.record({ small: fc.constant(true) }) },
      {
        weight: 3,
        arbitrary: fc.record({ data: fc.integer({ min: 0, max: 20_000 }), of: fc.nat(4) }),
      },
      { weight: 3, arbitrary: fc.record({ read: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ sent: fc.constant(true) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
        const wire = new Wire();
        const box = boxOver(wire);
        const connection = new ReceiveWindow(peer.connection);
        const streams = new Map<number, ReceiveWindow>();
        const smallSent: number[] = [];
        const smallRead: number[] = [];
        const bytesSent = new Map<number, number>();
        const bytesRead = new Map<number, number>();
        let read = 0;
        // What the other side does: it checks the windows, and gives credit back.
        const readOne = () => {
          const next = wire.frames[read];
          if (next === undefined) return;
          read += 1;
          const { frame, bytes } = next;
          connection.take(bytes, frame.type);
          const credit = connection.used(bytes);
          if (credit > 0) box.credit(0, credit);
          if (frame.type !== 'DATA') {
            smallRead.push(frame.id);
            return;
          }
          const window = streams.get(frame.id) ?? new ReceiveWindow(peer.stream);
          streams.set(frame.id, window);
          window.take(bytes - headerBytes, 'DATA');
          bytesRead.set(frame.id, (bytesRead.get(frame.id) ?? 0) + frame.data.byteLength);
          const streamCredit = window.used(bytes - headerBytes);
          if (streamCredit > 0) box.credit(frame.id, streamCredit);
        };
        let nextId = 100;
        for (const step of actions) {
          if ('small' in step) {
            smallSent.push(nextId);
            box.send(release(nextId++));
          } else if ('data' in step) {
            const id = step.of + 1;
            bytesSent.set(id, (bytesSent.get(id) ?? 0) + step.data);
            box.sendData(id, new Uint8Array(step.data), false);
          } else if ('sent' in step) {
            wire.sent();
          } else {
            for (let i = 0; i < step.read; i++) readOne();
          }
          await Promise.resolve();
        }
        let empty = false;
        box.whenEmpty(() => {
          empty = true;
        });
        for (let i = 0; !empty || read < wire.frames.length; i++) {
          expect(i).toBeLessThan(10_000);
          readOne();
          wire.sent();
          await Promise.resolve();
        }
        expect(smallRead).toEqual(smallSent);
        for (const [id, bytes] of bytesSent) expect(bytesRead.get(id) ?? 0).toBe(bytes);
      }),
      { numRuns: 300 },
    );
  });
});
