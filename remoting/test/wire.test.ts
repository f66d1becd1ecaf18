import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { FRAME_RULES, wireLimits } from '../src/generated/wire.js';
import { decodeFrame } from '../src/wire/decode-frame.js';
import { FrameSplitter, type Side } from '../src/wire/frame-splitter.js';
import type { CallFrame, DataFrame, Frame } from '../src/wire/frames.js';
import { FrameWriter } from '../src/wire/frame-writer.js';
import { headerBytes } from '../src/wire/numbers.js';
import { WireError } from '../src/wire/wire-error.js';
import { arbitraryFrame } from './arbitrary-frames.js';
import { asVector } from '../../test/wire/vectors.js';

function sideOf(frame: Frame): Side {
  const { from } = FRAME_RULES[frame.type];
  return from === 'both' ? 'client' : from;
}

function write(frames: readonly Frame[]): Buffer {
  const writer = new FrameWriter();
  for (const frame of frames) writer.write(frame);
  return Buffer.concat(writer.take());
}

const echoCall: CallFrame = {
  type: 'CALL',
  id: 3,
  ...{ keep: false, omit: false, replay: false, binding: 2, deadlineUs: 0, priority: 0 },
  ...{ place: undefined, trace: undefined },
  inputs: [
    {
      ...{ source: 'INLINE', slot: 0, dtype: 'UINT8', shape: [64], name: '' },
      data: new Uint8Array(64),
    },
  ],
};

describe('frames', () => {
  it('come out as they went in, however they are cut', () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryFrame, { maxLength: 12 }),
        fc.array(fc.nat(3000), { maxLength: 20 }),
        (frames, cuts) => {
          for (const side of ['client', 'server'] as const) {
            const sent = frames.filter((frame) => sideOf(frame) === side);
            const bytes = write(sent);
            const received: unknown[] = [];
            const splitter = new FrameSplitter(side);
            let at = 0;
            for (const cut of [...cuts, bytes.length]) {
              const chunk = Uint8Array.from(bytes.subarray(at, at + cut));
              splitter.push(chunk, (raw) => received.push(asVector(decodeFrame(raw))));
              at = Math.min(bytes.length, at + cut);
            }
            expect(received).toEqual(asVector(sent));
          }
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('that are changed are refused as WireError, or say something that may be sent', () => {
    fc.assert(
      fc.property(arbitraryFrame, fc.nat(), fc.nat(255), (frame, place, value) => {
        const bytes = write([frame]);
        bytes[place % bytes.length] = value;
        const side = sideOf(frame);
        try {
          new FrameSplitter(side).push(bytes, (raw) => {
            const again = write([decodeFrame(raw)]);
            // A header that says less is a frame too, with the rest behind it.
            expect(again.length).toBe(headerBytes + raw.end - raw.start);
          });
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('the splitter', () => {
  it('copies nothing of a frame that lies within a chunk', () => {
    const chunk = write([echoCall, echoCall]);
    const frames: Frame[] = [];
    new FrameSplitter('client').push(chunk, (raw) => frames.push(decodeFrame(raw)));
    expect(frames).toHaveLength(2);
    for (const frame of frames as CallFrame[]) {
      const [input] = frame.inputs;
      expect(input?.source === 'INLINE' && input.data.buffer).toBe(chunk.buffer);
    }
  });

  it('keeps no more than one frame, whatever a header says', () => {
    const splitter = new FrameSplitter('client');
    const header = Buffer.from('00000100300000000100000000000000', 'hex');
    splitter.push(header, () => expect.unreachable());
    expect(splitter.pendingBytes).toBe(16);
    for (let i = 0; i < 63; i++) splitter.push(Buffer.alloc(1024), () => expect.unreachable());
    expect(splitter.pendingBytes).toBe(16 + 63 * 1024);
    let bytes = 0;
    splitter.push(Buffer.alloc(1024), (raw) => (bytes = raw.end - raw.start));
    expect(bytes).toBe(wireLimits.payloadBytesMax);
    expect(splitter.pendingBytes).toBe(0);
  });

  it('hands long DATA on in the pieces that it comes in', () => {
    const data = Buffer.from(Array.from({ length: 60_003 }, (_, i) => i & 0xff));
    const sent: Frame[] = [
      { type: 'DATA', id: 1, end: false, data },
      echoCall,
      { type: 'DATA', id: 3, end: true, data: data.subarray(1) },
    ];
    const bytes = write(sent);
    const steps = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.nat(40_000)), {
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(steps, (lengths) => {
        const splitter = new FrameSplitter('client');
        const received: DataFrame[] = [];
        let frames = 0;
        let payload = 0;
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const length = Math.max(1, lengths[i % lengths.length] ?? 1);
          const chunk = Buffer.from(bytes.subarray(at, at + length));
          splitter.push(chunk, (raw) => {
            const frame = decodeFrame(raw);
            if (!raw.isRest) frames += 1;
            payload += raw.end - raw.start;
            if (frame.type !== 'DATA') return;
            received.push({ ...frame, data: Buffer.from(frame.data) });
          });
          at += length;
        }
        expect(frames).toBe(3);
        expect(payload).toBe(bytes.length - 3 * headerBytes);
        const first = received.filter(({ id }) => id === 1);
        const second = received.filter(({ id }) => id === 3);
        expect(Buffer.concat(first.map((piece) => piece.data)).equals(data)).toBe(true);
        expect(Buffer.concat(second.map((piece) => piece.data)).equals(data.subarray(1))).toBe(
          true,
        );
        expect(first.some(({ end }) => end)).toBe(false);
        expect(second.map(({ end }) => end).lastIndexOf(false)).toBe(second.length - 2);
      }),
      { numRuns: 100 },
    );
  });

  it('copies nothing of DATA that is cut between elements', () => {
    const data = Buffer.alloc(60_000, 7);
    const bytes = write([{ type: 'DATA', id: 1, end: false, data }]);
    const splitter = new FrameSplitter('client');
    const pieces: Buffer[] = [];
    for (const [from, to] of [
      [0, 20_000],
      [20_000, 40_000],
      [40_000, bytes.length],
    ]) {
      const chunk = Buffer.from(bytes.subarray(from, to));
      splitter.push(chunk, (raw) => {
        expect(raw.memory.buffer).toBe(chunk.buffer);
        pieces.push(Buffer.from((decodeFrame(raw) as DataFrame).data));
      });
    }
    expect(pieces.map(({ length }) => length)).toEqual([19_984, 20_000, 20_016]);
    expect(Buffer.concat(pieces).equals(data)).toBe(true);
  });

  it('refuses a header as soon as it is there', () => {
    const splitter = new FrameSplitter('client', 4096);
    const header = Buffer.from('08100000300000000100000000000000', 'hex');
    splitter.push(header.subarray(0, 15), () => expect.unreachable());
    expect(() => splitter.push(header.subarray(15), () => expect.unreachable())).toThrow(
      'PAYLOAD_TOO_LONG',
    );
  });

  it('passes over frames that need not be understood', () => {
    const ignorable = Buffer.from('08000000ff55777799999999999999991122334455667788', 'hex');
    const chunk = Buffer.concat([ignorable, write([echoCall]), ignorable, write([echoCall])]);
    for (const step of [chunk.length, 5]) {
      const types: string[] = [];
      const splitter = new FrameSplitter('client');
      for (let at = 0; at < chunk.length; at += step) {
        const part = Buffer.from(chunk.subarray(at, at + step));
        splitter.push(part, ({ type }) => types.push(type));
      }
      expect(types).toEqual(['CALL', 'CALL']);
    }
  });
});

describe('the writer', () => {
  it('needs 120 bytes for a call with 64', () => {
    expect(write([echoCall])).toHaveLength(120);
  });

  it('does not copy large data', () => {
    const data = new Uint8Array(65_533);
    const writer = new FrameWriter();
    writer.write({ type: 'DATA', id: 1, end: false, data });
    expect(writer.pendingBytes).toBe(16 + 65_536);
    const parts = writer.take();
    expect(parts).toContain(data);
    expect(writer.take()).toEqual([]);
  });

  it('leaves nothing of a frame that it refuses', () => {
    const writer = new FrameWriter(4096);
    writer.write(echoCall);
    const data = new Uint8Array(5000);
    const [input] = echoCall.inputs;
    const large = { ...input, shape: [5000], data } as CallFrame['inputs'][number];
    const refused: [Frame, string][] = [
      [{ ...echoCall, inputs: [large] }, 'PAYLOAD_TOO_LONG'],
      [{ ...echoCall, id: 0 }, 'BAD_ID'],
      [{ ...echoCall, id: 2 ** 53 }, 'NUMBER_TOO_LARGE'],
      [{ ...echoCall, deadlineUs: 1.5 }, 'BAD_VALUE'],
      [{ ...echoCall, inputs: [...echoCall.inputs, ...echoCall.inputs] }, 'BAD_ORDER'],
      [{ type: 'READ', id: 1, model: 1, file: 'a\u0000b' }, 'BAD_TEXT'],
      [{ type: 'READ', id: 1, model: 1, file: 'x'.repeat(1024) }, 'TOO_LONG'],
      [{ type: 'READ', id: 1, model: 1, file: '\ud800' }, 'BAD_TEXT'],
      [{ type: 'DATA', id: 1, end: false, data }, 'PAYLOAD_TOO_LONG'],
    ];
    for (const [frame, error] of refused) expect(() => writer.write(frame)).toThrow(error);
    expect(Buffer.concat(writer.take())).toEqual(write([echoCall]));
  });

  it('cleans messages for people and cuts them between characters', () => {
    const message = `\u001b[31m${'é'.repeat(600)}`;
    const bytes = write([
      {
        ...{ type: 'ERROR', id: 1, retryable: false, outcomeUnknown: false, code: 'INTERNAL' },
        ...{ device: 0xffff, retryAfterUs: 0, cause: 0, message, detail: 'a\nb' },
      },
    ]);
    let frame: Frame | undefined;
    new FrameSplitter('server').push(bytes, (raw) => (frame = decodeFrame(raw)));
    const read = frame?.type === 'ERROR' ? frame.message : '';
    expect(read.startsWith('\u{fffd}[31mé')).toBe(true);
    expect(read.endsWith('é')).toBe(true);
    expect(Buffer.byteLength(read)).toBe(1023);
  });
});
