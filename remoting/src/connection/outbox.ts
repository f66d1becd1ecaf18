import { FRAME_RULES, wireLimits } from '../generated/wire.js';
import { decodeResult } from '../wire/decode-frame.js';
import { FrameSplitter } from '../wire/frame-splitter.js';
import type { Frame } from '../wire/frames.js';
import { FrameWriter } from '../wire/frame-writer.js';
import { headerBytes } from '../wire/numbers.js';
import { SendWindow } from './window.js';

/** Handed to the operating system ahead of what it has sent, bytes: what lies there cannot be overtaken any more. */
const aheadBytesMax = wireLimits.bulkAheadBytesMax;

/** The bytes that one handle has to send. */
interface BulkQueue {
  readonly id: number;
  readonly window: SendWindow;
  readonly chunks: BulkChunk[];
}

interface BulkChunk {
  readonly data: Uint8Array;
  sent: number;
  /** The last of the handle. */
  readonly end: boolean;
  /** Small frames that must have gone before it: the one that makes or announces it is among them. */
  readonly after: number;
  readonly onWritten: (() => void) | undefined;
}

/** What a side takes. */
export interface PeerLimits {
  readonly payloadBytesMax: number;
  /** First sizes of the windows, bytes. */
  readonly connection: number;
  readonly stream: number;
}

/** Where what was written goes. */
export interface ByteSink {
  /** Bytes that were handed over and not sent. */
  readonly pendingBytes: number;
  /** @param onSent is called when the operating system has it all. */
  send(parts: readonly Uint8Array[], onSent?: () => void): void;
}

/** Runs something in a while. */
export type Soon = (run: () => void) => void;

/** When what a program says in one go is complete. */
const afterCaller: Soon = queueMicrotask;

/**
 * When all is done that came with one turn of the event loop: for a side whose calls come over many sockets, each of which
 * is a caller by itself. One write for all of them costs both processes a fraction of as many writes.
 */
export const afterTurn: Soon = (run) => {
  setImmediate(run);
};

/**
 * What one side of a connection has to send, in the three classes of PROTOCOL.md section 5: control goes ahead of
 * everything, small frames keep their order, and bulk takes turns, one frame for each handle, behind them. What is sent
 * until `soon` is written together.
 */
export class Outbox {
  private writer: FrameWriter;
  private readonly window: SendWindow;
  /** Left to small frames, bytes. */
  private bulkReserve: number;
  private frameBytesMax: number;
  /** Undefined: it was cancelled where it stood, so that what waits for those before it still does. */
  private small: (Frame | undefined)[] = [];
  private smallFront = 0;
  /** Small frames so far, counted. */
  private smallTaken = 0;
  private smallWritten = 0;
  private readonly bulk: BulkQueue[] = [];
  /** By handle; those with nothing to send too, until they are dropped. */
  private readonly bulkById = new Map<number, BulkQueue>();
  /** Of small frames, since the last one of bulk. */
  private smallBytes = 0;
  /** Of all handles, that were not written. */
  private bulkBytes = 0;
  private flushing = false;
  private waitsForSink = false;
  private failed = false;
  private emptied: (() => void) | undefined;

  /**
   * @param peer what the other side is known to take before it has said so.
   * @param onError told when a frame that had to wait cannot be written: then nothing more goes.
   * @param onWaiting told when not all could be written, for credit or for the sink.
   */
  constructor(
    private readonly sink: ByteSink,
    private peer: PeerLimits,
    private readonly onError: (error: unknown) => void,
    private readonly onWaiting: () => void = () => undefined,
    private readonly soon: Soon = afterCaller,
  ) {
    this.writer = new FrameWriter(peer.payloadBytesMax);
    this.window = new SendWindow(peer.connection);
    this.frameBytesMax = peer.payloadBytesMax + headerBytes;
    this.bulkReserve = Math.floor(peer.connection / 4);
  }

  /**
   * The other side has said what it takes: no less than was counted on.
   *
   * @throws WireError CREDIT_OVERFLOW.
   */
  peerTakes(peer: PeerLimits): void {
    const before = this.peer;
    this.peer = peer;
    this.window.add(peer.connection - before.connection);
    for (const { window } of this.bulkById.values()) window.add(peer.stream - before.stream);
    this.bulkReserve = Math.floor(peer.connection / 4);
    if (peer.payloadBytesMax !== before.payloadBytesMax) {
      this.flush();
      this.writer = new FrameWriter(peer.payloadBytesMax);
      this.frameBytesMax = peer.payloadBytesMax + headerBytes;
    }
    this.flushSoon();
  }

  /** Small frames that wait for credit or for the sink. */
  get waitingFrames(): number {
    return this.small.length - this.smallFront;
  }

  /** The same of bulk, bytes. */
  get waitingBytes(): number {
    return this.bulkBytes;
  }

  /** @throws WireError for a frame that the other side would refuse. */
  send(frame: Frame): void {
    if (FRAME_RULES[frame.type].class === 'control') {
      this.writer.write(frame);
    } else if (this.smallWaits || !this.hasRoom(0)) {
      this.smallTaken += 1;
      this.small.push(frame);
    } else {
      this.smallTaken += 1;
      this.writeSmall(frame);
    }
    this.flushSoon();
  }

  /**
   * As `writeCallAsCame` of FrameWriter.
   *
   * @returns false where it would have to wait, or is too long for the other side: then nothing goes.
   */
  sendCallAsCame(
    id: number,
    binding: number,
    memory: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    const bytes = headerBytes + end - start;
    if (this.smallWaits || bytes > this.frameBytesMax || !this.hasRoom(0)) return false;
    this.writer.writeCallAsCame(id, binding, memory, start, end);
    this.smallTaken += 1;
    this.smallWritten += 1;
    this.window.take(bytes);
    this.smallBytes += bytes;
    this.flushSoon();
    return true;
  }

  /** RESULTs as they go out: together where there is room for all of them, else as `send` does. */
  sendResults(frames: Uint8Array): void {
    const { window, frameBytesMax } = this;
    const fits =
      window.left - frames.byteLength >= frameBytesMax && this.aheadBytes < aheadBytesMax;
    if (this.smallWaits || !fits) {
      // What is decoded has views of it.
      const copy = Buffer.from(frames);
      new FrameSplitter('server').push(copy, (raw) => {
        this.send(decodeResult(raw));
      });
      return;
    }
    this.smallTaken += 1;
    this.smallWritten += 1;
    this.writer.writeFrames(frames);
    window.take(frames.byteLength);
    this.smallBytes += frames.byteLength;
    this.flushSoon();
  }

  /**
   * Asks for the end of a handle, and sends no more of its data.
   *
   * @returns false when the frame that makes the handle had not gone: then nothing goes, and no answer comes.
   */
  cancel(id: number): boolean {
    this.drop(id);
    const place = this.small.findIndex((frame, i) => i >= this.smallFront && frame?.id === id);
    if (place < 0) {
      this.send({ type: 'CANCEL', id });
      return true;
    }
    this.small[place] = undefined;
    return false;
  }

  /** Handles that small frames which wait would make. */
  get unsent(): ReadonlySet<number> {
    const unsent = new Set<number>();
    for (const frame of this.small.slice(this.smallFront)) {
      if (frame !== undefined && FRAME_RULES[frame.type].names === 'new') unsent.add(frame.id);
    }
    return unsent;
  }

  /**
   * Bytes of a handle, in pieces of any size; they must not change until they are sent.
   *
   * @param onWritten is called once the piece has found credit; never if the handle is dropped before.
   */
  sendData(id: number, data: Uint8Array, end: boolean, onWritten?: () => void): void {
    if (data.byteLength === 0 && !end) return;
    let queue = this.bulkById.get(id);
    if (queue === undefined) {
      queue = { id, window: new SendWindow(this.peer.stream), chunks: [] };
      this.bulkById.set(id, queue);
    }
    if (queue.chunks.length === 0) this.bulk.push(queue);
    queue.chunks.push({ data, sent: 0, end, after: this.smallTaken, onWritten });
    this.bulkBytes += data.byteLength;
    this.flushSoon();
  }

  /** Nothing more of the handle goes. */
  drop(id: number): void {
    const queue = this.bulkById.get(id);
    if (queue === undefined) return;
    this.bulkById.delete(id);
    for (const { data, sent } of queue.chunks) this.bulkBytes -= data.byteLength - sent;
    const place = this.bulk.indexOf(queue);
    if (place >= 0) this.bulk.splice(place, 1);
  }

  /** @throws WireError CREDIT_OVERFLOW. */
  credit(id: number, bytes: number): void {
    if (id === 0) this.window.add(bytes);
    else this.bulkById.get(id)?.window.add(bytes);
    this.flushSoon();
  }

  /** Handles whose bytes wait for credit of their own; 0 is among them where something waits for the connection's. */
  waitingForCredit(): number[] {
    const { window, bulkReserve, frameBytesMax } = this;
    const payloadMax = frameBytesMax - headerBytes;
    const own = this.bulk.filter((queue) => queue.window.left < payloadMax);
    const bulkWaits = own.length < this.bulk.length && window.left - bulkReserve < frameBytesMax;
    const smallWaits = this.smallWaits && window.left < frameBytesMax;
    const ids = own.map(({ id }) => id);
    return bulkWaits || smallWaits ? [0, ...ids] : ids;
  }

  /** Calls `done` once all that was to be sent has been handed over. */
  whenEmpty(done: () => void): void {
    this.emptied = done;
    this.flushSoon();
  }

  /** Sends what may be sent now, without waiting for the end of the turn. */
  flush(): void {
    this.flushing = false;
    if (this.failed) return;
    try {
      this.fill();
    } catch (error) {
      this.failed = true;
      this.onError(error);
      return;
    }
    const parts = this.writer.take();
    const more = this.smallWaits || this.bulk.length > 0;
    if (more) this.onWaiting();
    if (parts.length === 0 && more) this.fillLater();
    if (parts.length > 0) this.handOver(parts, more);
    if (!more) this.emptied?.();
  }

  private handOver(parts: readonly Uint8Array[], more: boolean): void {
    if (more && !this.waitsForSink) {
      this.waitsForSink = true;
      this.sink.send(parts, () => {
        this.waitsForSink = false;
        this.flush();
      });
    } else {
      this.sink.send(parts);
    }
  }

  private get smallWaits(): boolean {
    return this.smallFront < this.small.length;
  }

  private get aheadBytes(): number {
    return this.sink.pendingBytes + this.writer.pendingBytes;
  }

  private flushSoon(): void {
    if (this.flushing) return;
    this.flushing = true;
    this.soon(() => {
      this.flush();
    });
  }

  /** Only the sink can wake what nothing but the sink holds up: credit wakes by itself. */
  private fillLater(): void {
    if (this.waitsForSink || this.aheadBytes < aheadBytesMax) return;
    this.waitsForSink = true;
    this.sink.send([], () => {
      this.waitsForSink = false;
      this.flush();
    });
  }

  private fill(): void {
    for (;;) {
      const bulkIsDue = this.smallBytes >= aheadBytesMax && this.bulk.length > 0;
      if (this.smallWaits && this.hasRoom(0) && !bulkIsDue) {
        const frame = this.nextSmall();
        if (frame !== undefined) this.writeSmall(frame);
        else this.smallWritten += 1;
      } else if (!this.writeBulk()) {
        if (!(this.smallWaits && this.hasRoom(0))) return;
        // Bulk is due but has no credit.
        this.smallBytes = 0;
      }
    }
  }

  private nextSmall(): Frame | undefined {
    const frame = this.small[this.smallFront++];
    if (!this.smallWaits) {
      this.small = [];
      this.smallFront = 0;
    }
    return frame;
  }

  /** For the longest frame. */
  private hasRoom(reserve: number): boolean {
    return this.window.left - reserve >= this.frameBytesMax && this.aheadBytes < aheadBytesMax;
  }

  private writeSmall(frame: Frame): void {
    const before = this.writer.pendingBytes;
    this.writer.write(frame);
    const bytes = this.writer.pendingBytes - before;
    this.window.take(bytes);
    this.smallBytes += bytes;
    this.smallWritten += 1;
  }

  /** One frame of the next handle that may send. */
  private writeBulk(): boolean {
    if (!this.hasRoom(this.bulkReserve)) return false;
    const payloadMax = this.frameBytesMax - headerBytes;
    const place = this.bulk.findIndex(
      ({ window, chunks: [first] }) =>
        window.left >= payloadMax && first !== undefined && first.after <= this.smallWritten,
    );
    const queue = this.bulk[place];
    const chunk = queue?.chunks[0];
    if (queue === undefined || chunk === undefined) return false;
    const data = chunk.data.subarray(chunk.sent, chunk.sent + payloadMax);
    chunk.sent += data.byteLength;
    this.bulkBytes -= data.byteLength;
    const isLast = chunk.sent === chunk.data.byteLength;
    const before = this.writer.pendingBytes;
    this.writer.writeData({ type: 'DATA', id: queue.id, end: isLast && chunk.end, data });
    const bytes = this.writer.pendingBytes - before;
    this.window.take(bytes);
    queue.window.take(bytes - headerBytes);
    this.smallBytes = 0;
    if (isLast) queue.chunks.shift();
    // To the end of the line.
    this.bulk.splice(place, 1);
    if (queue.chunks.length > 0) this.bulk.push(queue);
    if (isLast) chunk.onWritten?.();
    return true;
  }
}
