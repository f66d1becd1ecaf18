import { AxleError } from 'axle/errors';

/**
 * A frame of the channel between the front end and an instance, little-endian:
 *
 *     u32 payload bytes | u8 type | u8 flags | u16 0 | u32 call | payload
 *
 * The front end chooses the numbers of calls, from 1 up, rising. 0 is the instance itself. A head is JSON, and the
 * begin of the body goes along with it: u32 bytes of the head | head | begin of the body.
 *
 * A call begins with CALL and is over with what comes last from the instance: FAILED, or ANSWER or DATA with END. What
 * of its body is under way then is ignored.
 */
export const FrameType = {
  /** To an instance, once and first: what it is to run (JSON), in as many frames as it takes, the last of them with END. */
  SETUP: 1,
  /** From an instance: it takes calls. */
  READY: 2,
  /** To an instance: a call (head). */
  CALL: 3,
  /** Of the body, both ways; no more than credit was given for. */
  DATA: 4,
  /** From an instance: an answer (head). */
  ANSWER: 5,
  /** From an instance: the call, or with 0 the start, failed (JSON: code, message). The last frame of the call. */
  FAILED: 6,
  /** Both ways: so many bytes of the body were used (u32). */
  CREDIT: 7,
  /** To an instance: nobody waits for the call any more. It sends the same back at once, so that one that hangs is known. */
  CANCEL: 8,
} as const;

export type FrameTypeName = keyof typeof FrameType;

/** The sender sends nothing more of the call's body. */
export const END = 1;
export const frameHeaderBytes = 12;
/** Of one frame. */
export const payloadBytesMax = 1024 * 1024;
/** Of what an instance is told first, in all its frames. */
export const setupBytesMax = 16 * 1024 * 1024;
/** Of the head of a call or an answer. */
export const headBytesMax = 256 * 1024;
/** Of a body in one frame: what senders cut it to. */
export const partBytesMax = 64 * 1024;
/** Of a body that its receiver has not used: what is sent before the first CREDIT. */
export const windowBytes = 1024 * 1024;
export const callNumberMax = 0xffff_ffff;

export interface Frame {
  readonly type: FrameTypeName;
  readonly end: boolean;
  readonly call: number;
  /** Part of what came: to be copied by who keeps it. */
  readonly payload: Buffer;
}

const names: readonly (FrameTypeName | undefined)[] = Object.entries(FrameType).reduce<
  FrameTypeName[]
>((list, [name, type]) => {
  list[type] = name as FrameTypeName;
  return list;
}, []);

const nothing = new Uint8Array(0);

/** A frame with a copy of the data. */
export function frameOf(
  type: FrameTypeName,
  call: number,
  data: Uint8Array = nothing,
  end = false,
): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + data.byteLength);
  writeHeader(frame, type, call, end);
  frame.set(data, frameHeaderBytes);
  return frame;
}

/** @throws AxleError INVALID_ARGUMENT for a head over `headBytesMax`. */
export function headFrameOf(
  type: 'CALL' | 'ANSWER',
  call: number,
  head: object,
  body: Uint8Array,
  end: boolean,
): Buffer {
  const text = JSON.stringify(head);
  const headBytes = Buffer.byteLength(text);
  if (headBytes > headBytesMax) {
    const message = `the headers, path and query of a call, or the headers of an answer, are at most ${headBytesMax} bytes; send it in the body`;
    throw new AxleError('INVALID_ARGUMENT', message);
  }
  const bodyAt = frameHeaderBytes + 4 + headBytes;
  const frame = Buffer.allocUnsafe(bodyAt + body.byteLength);
  writeHeader(frame, type, call, end);
  frame.writeUInt32LE(headBytes, frameHeaderBytes);
  frame.write(text, frameHeaderBytes + 4);
  frame.set(body, bodyAt);
  return frame;
}

/** @throws AxleError DATA_LOSS for what is no head. */
export function readHead(payload: Buffer): { readonly head: unknown; readonly body: Buffer } {
  const headBytes = payload.byteLength < 4 ? Infinity : payload.readUInt32LE(0);
  if (headBytes > headBytesMax || 4 + headBytes > payload.byteLength) throw noFrame();
  const head = readJson(payload.subarray(4, 4 + headBytes));
  return { head, body: payload.subarray(4 + headBytes) };
}

/** @throws AxleError DATA_LOSS */
export function readJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString());
  } catch {
    throw noFrame();
  }
}

/** @throws AxleError DATA_LOSS */
export function readCredit(payload: Buffer): number {
  if (payload.byteLength !== 4) throw noFrame();
  return payload.readUInt32LE(0);
}

export function creditFrameOf(call: number, bytes: number): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + 4);
  writeHeader(frame, 'CREDIT', call, false);
  frame.writeUInt32LE(bytes, frameHeaderBytes);
  return frame;
}

function writeHeader(frame: Buffer, type: FrameTypeName, call: number, end: boolean): void {
  frame.writeUInt32LE(frame.byteLength - frameHeaderBytes, 0);
  frame.writeUInt32LE(FrameType[type] | (end ? END << 8 : 0), 4);
  frame.writeUInt32LE(call, 8);
}

/** Cuts what comes into frames. */
export class FrameReader {
  /** What came of a frame that is not whole. */
  private parts: Buffer[] = [];
  private heldBytes = 0;
  private wantedBytes = frameHeaderBytes;

  /** @param onFrame takes each frame that is whole, in order. */
  constructor(private readonly onFrame: (frame: Frame) => void) {}

  /** @throws AxleError DATA_LOSS for what is no frame: the channel is of no use any more. */
  push(chunk: Buffer): void {
    let bytes = chunk;
    if (this.heldBytes > 0) {
      this.parts.push(chunk);
      this.heldBytes += chunk.byteLength;
      // Put together once, however many chunks a frame comes in.
      if (this.heldBytes < this.wantedBytes) return;
      bytes = Buffer.concat(this.parts, this.heldBytes);
      this.parts = [];
      this.heldBytes = 0;
    }
    let at = 0;
    for (;;) {
      const rest = bytes.byteLength - at;
      this.wantedBytes = frameHeaderBytes;
      if (rest < frameHeaderBytes) break;
      this.wantedBytes += payloadBytesAt(bytes, at);
      if (rest < this.wantedBytes) break;
      const end = at + this.wantedBytes;
      this.onFrame({
        type: names[bytes[at + 4] as number] as FrameTypeName,
        end: bytes[at + 5] === END,
        call: bytes.readUInt32LE(at + 8),
        payload: bytes.subarray(at + frameHeaderBytes, end),
      });
      at = end;
    }
    if (at === bytes.byteLength) return;
    this.parts = [bytes.subarray(at)];
    this.heldBytes = bytes.byteLength - at;
  }
}

function payloadBytesAt(bytes: Buffer, at: number): number {
  const payloadBytes = bytes.readUInt32LE(at);
  const isFrame =
    names[bytes[at + 4] as number] !== undefined &&
    payloadBytes <= payloadBytesMax &&
    (bytes[at + 5] as number) <= END &&
    bytes.readUInt16LE(at + 6) === 0;
  if (!isFrame) throw noFrame();
  return payloadBytes;
}

export function noFrame(): AxleError {
  return new AxleError('DATA_LOSS', 'what came over the channel is no frame');
}
