import { FRAME_RULES, FrameType, IGNORABLE_TYPE_FIRST, wireLimits } from '../generated/wire.js';
import type { FrameRules, FrameTypeName, WireErrorIdName } from '../generated/wire.js';
import { alignment, headerBytes, readUint64 } from './numbers.js';
import { WireError } from './wire-error.js';

/** Which side's frames are read. */
export type Side = 'client' | 'server';

/** A DATA that is cut by the end of a chunk is handed on in pieces of no fewer bytes, but for the last. */
const pieceBytesMin = 4096;

/**
 * A frame as it lies in memory, its header checked; of a DATA, it may be a piece, which reads like a DATA of its own. The
 * same object comes again with the next frame; what is decoded from it stays valid, as views of the memory.
 */
export class RawFrame {
  type: FrameTypeName = 'PING';
  /** Of its type: a look-up by name costs as much as the rest of the header. */
  rules: FrameRules = FRAME_RULES.PING;
  flags = 0;
  /** Bytes of padding that end the payload of a DATA. */
  padding = 0;
  id = 0;
  memory: Buffer = Buffer.alloc(0);
  view = new DataView(this.memory.buffer, 0, 0);
  /** Its header came with a piece before. */
  isRest = false;
  /** The payload, as positions in `memory`. */
  start = 0;
  end = 0;
}

interface TypeRules {
  readonly name: FrameTypeName;
  readonly rules: FrameRules;
  readonly flags: number;
  readonly zeroId: boolean;
  readonly needsId: boolean;
  readonly padded: boolean;
}

const rulesOf = (side: Side): readonly (TypeRules | undefined)[] => {
  const rules: (TypeRules | undefined)[] = new Array<undefined>(256).fill(undefined);
  for (const name of Object.keys(FrameType) as FrameTypeName[]) {
    const frameRules = FRAME_RULES[name];
    const { from, names, flags } = frameRules;
    if (from !== side && from !== 'both') continue;
    rules[FrameType[name]] = {
      name,
      rules: frameRules,
      flags,
      zeroId: names === 'zero',
      needsId: names === 'new' || names === 'handle',
      padded: name === 'DATA',
    };
  }
  return rules;
};

const rulesBySide = { client: rulesOf('client'), server: rulesOf('server') };
const isKnown = new Set<number>(Object.values(FrameType));

/**
 * Cuts what comes over a connection into frames. Frames that lie within a chunk are not copied, nor are long pieces of
 * DATA; what else is cut by the end of a chunk is gathered in memory of its own, at most one frame at a time.
 */
export class FrameSplitter {
  private readonly frame = new RawFrame();
  private readonly rules: readonly (TypeRules | undefined)[];
  private readonly payloadBytesMax: number;
  private readonly head = Buffer.alloc(headerBytes);
  private readonly headView = new DataView(this.head.buffer, this.head.byteOffset, headerBytes);
  private headFilled = 0;
  /** The frame, or rest of a DATA, that is gathered, and how much of it is there. */
  private gathered: Buffer | undefined;
  private gatheredBytes = 0;
  /** Payload that is to come of the DATA of which a piece was handed on; its header is in `head`. */
  private restBytes = 0;

  /** @param from whose frames these are */
  constructor(from: Side, payloadBytesMax: number = wireLimits.payloadBytesMax) {
    this.rules = rulesBySide[from];
    this.payloadBytesMax = payloadBytesMax;
  }

  /** Bytes of a frame that is not complete, and which were not handed on. */
  get pendingBytes(): number {
    return this.gathered === undefined ? this.headFilled : this.gatheredBytes;
  }

  /**
   * Takes what came next. The chunk is kept by what is decoded from it, so it must not be written to again.
   *
   * @param onFrame is called for each frame that is complete, and for pieces of DATA. What it throws ends the splitter's use.
   * @param takeCalls is asked first where a CALL begins, for the bytes of frames that it takes as they lie there
   * @throws WireError after which nothing more can be read from the connection.
   */
  push(
    chunk: Uint8Array,
    onFrame: (frame: RawFrame) => void,
    takeCalls?: (memory: Buffer, view: DataView, at: number) => number,
  ): void {
    const memory = asBuffer(chunk);
    const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    let at = 0;
    if (this.pendingBytes > 0) at = this.fill(memory, onFrame);
    else if (this.restBytes > 0) at = this.handOnRest(memory, view, onFrame);
    if (at === memory.length) return;
    while (memory.length - at >= headerBytes) {
      if (takeCalls !== undefined && view.getUint8(at + 4) === FrameType.CALL) {
        const taken = takeCalls(memory, view, at);
        at += taken;
        if (taken > 0) continue;
      }
      const bytes = this.frameBytesAt(view, at);
      if (memory.length - at < bytes) {
        if (!this.handOnFirst(memory, view, at, bytes, onFrame)) this.gather(memory, at, bytes);
        return;
      }
      this.emit(memory, view, at, bytes, onFrame);
      at += bytes;
    }
    this.headFilled = memory.copy(this.head, 0, at);
  }

  /** Adds to the frame that is not complete. @returns how much of the chunk that took */
  private fill(memory: Buffer, onFrame: (frame: RawFrame) => void): number {
    let at = 0;
    if (this.gathered === undefined) {
      at = memory.copy(this.head, this.headFilled, 0, headerBytes - this.headFilled);
      this.headFilled += at;
      if (this.headFilled < headerBytes) return at;
      this.gather(this.head, 0, this.frameBytesAt(this.headView, 0));
    }
    const gathered = this.gathered as unknown as Buffer;
    const copied = memory.copy(gathered, this.gatheredBytes, at);
    this.gatheredBytes += copied;
    if (this.gatheredBytes < gathered.length) return at + copied;
    this.gathered = undefined;
    this.headFilled = 0;
    const view = new DataView(gathered.buffer, gathered.byteOffset, gathered.length);
    if (this.restBytes === 0) this.emit(gathered, view, 0, gathered.length, onFrame);
    else this.emitLast(gathered, view, onFrame);
    return at + copied;
  }

  /** Of a frame that is cut by the end of the chunk. @returns whether it is a DATA, and so much of it is there */
  private handOnFirst(
    memory: Buffer,
    view: DataView,
    at: number,
    bytes: number,
    onFrame: (frame: RawFrame) => void,
  ): boolean {
    const start = at + headerBytes;
    const end = start + aligned(memory.length - start);
    if (end - start < pieceBytesMin || this.rules[view.getUint8(at + 4)]?.padded !== true) {
      return false;
    }
    memory.copy(this.head, 0, at, start);
    this.restBytes = at + bytes - end;
    this.emitPiece(memory, view, start, end, false, onFrame);
    if (end < memory.length) this.gather(memory, end, this.restBytes);
    return true;
  }

  /** @returns how much of the chunk is of the DATA whose rest it begins with */
  private handOnRest(memory: Buffer, view: DataView, onFrame: (frame: RawFrame) => void): number {
    const { restBytes } = this;
    if (memory.length >= restBytes) {
      this.emitLast(memory, view, onFrame);
      return restBytes;
    }
    let end = aligned(memory.length);
    if (end < pieceBytesMin) end = 0;
    this.restBytes -= end;
    if (end > 0) this.emitPiece(memory, view, 0, end, true, onFrame);
    if (end < memory.length) this.gather(memory, end, this.restBytes);
    return memory.length;
  }

  private gather(memory: Buffer, at: number, bytes: number): void {
    // Not from Node's pool, where its place would be aligned to nothing in particular.
    this.gathered = Buffer.allocUnsafeSlow(bytes);
    this.gatheredBytes = memory.copy(this.gathered, 0, at);
  }

  /** Checks a header. @returns bytes of the whole frame */
  private frameBytesAt(view: DataView, at: number): number {
    const payloadBytes = view.getUint32(at, true);
    if (payloadBytes > this.payloadBytesMax) refuse('PAYLOAD_TOO_LONG', view, at);
    if (payloadBytes % alignment !== 0) refuse('PAYLOAD_UNALIGNED', view, at);
    const type = view.getUint8(at + 4);
    const rules = this.rules[type];
    if (rules === undefined) {
      checkIgnorable(view, at, type, payloadBytes);
      return headerBytes + payloadBytes;
    }
    const padding = view.getUint16(at + 6, true);
    const id = readUint64(view, at + 8);
    if ((view.getUint8(at + 5) & ~rules.flags) !== 0) refuse('UNKNOWN_FLAG', view, at);
    if (padding !== 0 && !(rules.padded && padding < alignment && padding <= payloadBytes)) {
      refuse('RESERVED_NOT_ZERO', view, at);
    }
    if (id === undefined) refuse('NUMBER_TOO_LARGE', view, at);
    if (id === 0 ? rules.needsId : rules.zeroId) refuse('BAD_ID', view, at);
    return headerBytes + payloadBytes;
  }

  /** Hands over a frame whose header was checked; one that need not be understood is passed over. */
  private emit(
    memory: Buffer,
    view: DataView,
    at: number,
    bytes: number,
    onFrame: (frame: RawFrame) => void,
  ): void {
    const rules = this.rules[view.getUint8(at + 4)];
    if (rules === undefined) return;
    const { frame } = this;
    frame.type = rules.name;
    frame.rules = rules.rules;
    frame.flags = view.getUint8(at + 5);
    frame.padding = view.getUint16(at + 6, true);
    frame.id = readUint64(view, at + 8) as number;
    frame.memory = memory;
    frame.view = view;
    frame.start = at + headerBytes;
    frame.end = at + bytes;
    frame.isRest = false;
    onFrame(frame);
  }

  private emitLast(memory: Buffer, view: DataView, onFrame: (frame: RawFrame) => void): void {
    const { restBytes } = this;
    this.restBytes = 0;
    this.emitPiece(memory, view, 0, restBytes, true, onFrame);
  }

  /** A piece of the DATA whose header is in `head`; the last has the flags of the frame, and its padding. */
  private emitPiece(
    memory: Buffer,
    view: DataView,
    start: number,
    end: number,
    isRest: boolean,
    onFrame: (frame: RawFrame) => void,
  ): void {
    const { frame, headView, restBytes } = this;
    const isLast = restBytes === 0;
    frame.type = 'DATA';
    frame.rules = FRAME_RULES.DATA;
    frame.flags = isLast ? headView.getUint8(5) : 0;
    frame.padding = isLast ? headView.getUint16(6, true) : 0;
    frame.id = readUint64(headView, 8) as number;
    frame.memory = memory;
    frame.view = view;
    frame.start = start;
    frame.end = end;
    frame.isRest = isRest;
    onFrame(frame);
  }
}

/** Pieces end where an element of any type may, so that what is left is never only padding. */
function aligned(bytes: number): number {
  return bytes - (bytes % alignment);
}

function checkIgnorable(view: DataView, at: number, type: number, payloadBytes: number): void {
  if (type < IGNORABLE_TYPE_FIRST) {
    refuse(isKnown.has(type) ? 'WRONG_STATE' : 'UNKNOWN_TYPE', view, at);
  }
  if (payloadBytes > wireLimits.ignorablePayloadBytesMax) refuse('PAYLOAD_TOO_LONG', view, at);
}

function refuse(error: WireErrorIdName, view: DataView, at: number): never {
  throw new WireError(error, `frame of type ${view.getUint8(at + 4)}`);
}

function asBuffer(chunk: Uint8Array): Buffer {
  if (Buffer.isBuffer(chunk)) return chunk;
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
