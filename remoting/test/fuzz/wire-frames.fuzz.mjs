import { ok } from 'node:assert';

import { onlyRefuses } from '../../../test/fuzz/only-refuses.mjs';
import { wireSeeds } from '../../../test/wire/seeds.mjs';
import { decodeFrame } from '../../dist/wire/decode-frame.js';
import { FrameSplitter } from '../../dist/wire/frame-splitter.js';
import { FrameWriter } from '../../dist/wire/frame-writer.js';

/** @import { FuzzTarget } from '../../../test/fuzz/fuzz-loop.mjs' */
/** @import { Frame } from '../../dist/wire/frames.js' */
/** @import { RawFrame, Side } from '../../dist/wire/frame-splitter.js' */

const HEADER_BYTES = 16;
const FRAME_BYTES_MAX = HEADER_BYTES + 65536;

/** @type {FuzzTarget} */
export const target = {
  about: 'frames of the wire protocol: what is read is written to the same bytes',
  bytesMax: 8192,
  run(bytes) {
    const [first = 0] = bytes;
    /** @type {Side} */
    const side = (first & 1) === 0 ? 'client' : 'server';
    // The first byte also says how the rest is cut.
    const step = first < 128 ? bytes.length : 1 + (first & 63);
    const splitter = new FrameSplitter(side);
    onlyRefuses(() => {
      for (let at = 1; at < bytes.length; at += step) {
        splitter.push(Buffer.from(bytes.subarray(at, at + step)), checkFrame);
        ok(splitter.pendingBytes < FRAME_BYTES_MAX);
      }
    });
  },
  seeds: wireSeeds,
  dictionary: ['AXLE\r\n\x1a\n', Buffer.alloc(8), Buffer.alloc(16), Buffer.alloc(8, 0xff)],
};

const writer = new FrameWriter();

/** @param {RawFrame} raw */
function checkFrame(raw) {
  const frame = decodeFrame(raw);
  if (isPiece(raw)) return;
  const sent = raw.memory.subarray(raw.start - HEADER_BYTES, raw.end);
  const again = writeAgain(frame);
  // Of an error code that is not known here, the number is not kept.
  if (!JSON.stringify(frame).includes('"UNKNOWN"')) ok(sent.equals(again));
}

/** Of a DATA that was cut: it reads like one, and its header is that of the whole. @param {RawFrame} raw */
function isPiece({ type, isRest, memory, start, end }) {
  return type === 'DATA' && (isRest || memory.readUInt32LE(start - HEADER_BYTES) !== end - start);
}

/** What can be read can be written: a refusal is a fault here. @param {Frame} frame */
function writeAgain(frame) {
  try {
    writer.write(frame);
  } catch (cause) {
    throw new Error(`${frame.type} was read but cannot be written`, { cause });
  }
  return Buffer.concat(writer.take());
}
