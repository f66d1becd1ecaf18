import {
  decodeFrame,
  FrameSplitter,
  FrameType,
  FrameWriter,
  WireError,
  WireErrorId,
  type Frame,
  type Side,
} from '../src/index.js';
import { describe, expect, it } from 'vitest';

import { asVector, bytesOf, fromVector, readVectors } from '../../test/wire/vectors.js';

const vectors = readVectors();
const valid = vectors.filter(({ frame }) => frame !== undefined);
const invalid = vectors.filter(({ error }) => error !== undefined);

function decode(from: Side, bytes: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  new FrameSplitter(from).push(bytes, (raw) => frames.push(decodeFrame(raw)));
  return frames;
}

describe('test vectors', () => {
  it.each(valid)('$name: is read', (vector) => {
    const [frame, ...more] = decode(vector.from, bytesOf(vector));
    expect(asVector(frame)).toEqual(vector.frame);
    expect(more).toEqual([]);
  });

  it.each(valid)('$name: is written', (vector) => {
    const writer = new FrameWriter();
    writer.write(fromVector(vector.frame) as Frame);
    expect(Buffer.concat(writer.take()).toString('hex')).toBe(bytesOf(vector).toString('hex'));
  });

  it.each(invalid)('$name: $error', (vector) => {
    let error: unknown;
    try {
      decode(vector.from, bytesOf(vector));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(WireError);
    expect(error).toMatchObject({ wireError: vector.error, code: 'INVALID_ARGUMENT' });
  });

  it('show every type of frame, and every error of form', () => {
    const types = new Set(valid.map(({ frame }) => frame?.['type']));
    expect(Object.keys(FrameType).filter((type) => !types.has(type))).toEqual([]);
    const errors = new Set(invalid.map(({ error }) => error));
    const ofForm = Object.entries(WireErrorId).filter(([, id]) => id < 32);
    expect(ofForm.map(([name]) => name).filter((name) => !errors.has(name))).toEqual([]);
  });

  it('are read the same however they are cut', () => {
    for (const side of ['client', 'server'] as const) {
      const all = valid.filter(({ from }) => from === side);
      const bytes = Buffer.concat(all.map(bytesOf));
      for (const step of [1, 7, 16, 17, 1000]) {
        const frames: unknown[] = [];
        const splitter = new FrameSplitter(side);
        for (let at = 0; at < bytes.length; at += step) {
          const chunk = Buffer.from(bytes.subarray(at, at + step));
          splitter.push(chunk, (raw) => frames.push(asVector(decodeFrame(raw))));
        }
        expect(frames).toEqual(all.map(({ frame }) => frame));
        expect(splitter.pendingBytes).toBe(0);
      }
    }
  });
});
