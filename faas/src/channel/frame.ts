import { AxleError } from 'axle';

/**
 * A frame of the channel between the front end and an instance, little-endian:
 *
 *     u32 payload bytes | u8 type | u8 flags | u16 0 | u32 call | payload
 *
 * The front end chooses the numbers of calls, from 1 up, rising. 0 is the instance itself.
 */
export const FrameType = {
  /** To an instance, once and first: what it is to run (JSON). */
  SETUP: 1,
  /** From an instance: it takes calls. */
  READY: 2,
  /** To an instance: the head of a call (JSON). */
  CALL: 3,
  /** Of the body, both ways; no more than credit was given for. */
  DATA: 4,
  /** From an instance: the head of an answer (JSON). */
  ANSWER: 5,
  /** From an instance: the call, or with 0 the start, failed (JSON: code, message). The last frame of the call. */
  FAILED: 6,
  /** Both ways: so many bytes of the body were used (u32). */
  CREDIT: 7,
  /** To an instance: nobody waits for the call any more. */
  CANCEL: 8,
} as const;

export type FrameTypeName = keyof typeof FrameType;

/** The sender sends nothing more of the call's body. */
export const END = 1;
export const frameHeaderBytes = 12;
/** Of one frame. */
export const payloadBytesMax = 1024 * 1024;
/** Of a body that its receiver has not used: what is sent before the first CREDIT. */
export const windowBytes = 1024 * 1024;

export interface Frame {
  readonly type: FrameTypeName;
  readonly end: boolean;
  readonly call: number;
  /** Part of what came: to be copied by who keeps it. */
  readonly payload: Buffer;
}

const names = new Map<number, FrameTypeName>(
  Object.entries(FrameType).map(([name, type]) => [type, name as FrameTypeName]),
);

export function frameHeader(
  type: FrameTypeName,
  call: number,
  payloadBytes: number,
  end: boolean,
): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  header.writeUInt32LE(payloadBytes, 0);
  header.writeUInt8(FrameType[type], 4);
  header.writeUInt8(end ? END : 0, 5);
  header.writeUInt16LE(0, 6);
  header.writeUInt32LE(call, 8);
  return header;
}

/** Cuts what comes into frames. */
export class FrameReader {
  private rest: Buffer = Buffer.alloc(0);

  /**
   * The frames that are whole with this chunk.
   *
   * @throws AxleError DATA_LOSS for what is no frame: the channel is of no use any more.
   */
  *push(chunk: Buffer): Generator<Frame> {
    let bytes = this.rest.byteLength === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    while (bytes.byteLength >= frameHeaderBytes) {
      const payloadBytes = bytes.readUInt32LE(0);
      const type = names.get(bytes.readUInt8(4));
      const flags = bytes.readUInt8(5);
      const isFrame =
        type !== undefined &&
        payloadBytes <= payloadBytesMax &&
        flags <= END &&
        bytes.readUInt16LE(6) === 0;
      if (!isFrame) throw new AxleError('DATA_LOSS', 'what came over the channel is no frame');
      const end = frameHeaderBytes + payloadBytes;
      if (bytes.byteLength < end) break;
      const payload = bytes.subarray(frameHeaderBytes, end);
      yield { type, end: flags === END, call: bytes.readUInt32LE(8), payload };
      bytes = bytes.subarray(end);
    }
    this.rest = bytes;
  }
}
