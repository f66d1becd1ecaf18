import type { Duplex } from 'node:stream';

import { AxleError, messageOf } from '@axle/core/internal';

import { WireErrorId, wireLimits, type FrameTypeName } from '../generated/wire.js';
import { decodeFrame } from '../wire/decode-frame.js';
import type { CreditFrame, Frame, GoawayFrame } from '../wire/frames.js';
import { FrameSplitter, type RawFrame, type Side } from '../wire/frame-splitter.js';
import { headerBytes } from '../wire/numbers.js';
import { WireError } from '../wire/wire-error.js';
import { Outbox, type PeerLimits, type Soon } from './outbox.js';
import { Liveness } from './liveness.js';
import { StallWatch } from './stall-watch.js';
import { defaultTimes, type ConnectionTimes } from './times.js';
import { ReceiveWindow } from './window.js';

/** What this side takes before it gives credit, bytes. */
export interface Windows {
  readonly connection: number;
  readonly stream: number;
}

export interface ConnectionHandler {
  /**
   * Gets every frame but CREDIT, PING and PONG. What it throws ends the connection; a WireError is told to the other side.
   */
  onFrame(raw: RawFrame): void;
  /**
   * Takes CALLs as they lie in a chunk, from the one at `at` on; each is answered by `sendResults`, or as others.
   *
   * @returns their bytes; 0 = none
   */
  takeCalls?(memory: Buffer, view: DataView, at: number): number;
  /** Bytes of the handle have waited for its credit for too long. */
  onStalled(id: number): void;
  /** Told once that nothing more comes and nothing more can be sent. */
  onClosed(reason: AxleError): void;
}

/** What was said last may take this long to go out, milliseconds. */
const lingerMs = 5000;

/** Handed to the operating system and not taken, bytes: who lets more lie does not read what it asks for. */
const unreadBytesMax = 1024 * 1024;

/** What the other side may send over its greeting. */
const pongsPendingMax = wireLimits.pongsPendingMax;

/**
 * One side of a connection that speaks the wire protocol: frames, credit and order. What frames mean is the handler's
 * business.
 */
export class Connection {
  private readonly splitter: FrameSplitter;
  private readonly outbox: Outbox;
  private readonly received: ReceiveWindow;
  /** By handle that expects data. */
  private readonly receiving = new Map<number, ReceiveWindow>();
  private readonly stalls: StallWatch;
  private liveness: Liveness | undefined = undefined;
  private pongs = 0;
  private closedBy: AxleError | undefined;
  private readonly takesCalls: boolean;

  /**
   * @param own what this side takes.
   * @param peer what the other side is known to take.
   * @param soon when what was sent is written; default: after the caller
   */
  constructor(
    private readonly stream: Duplex,
    side: Side,
    private readonly own: Windows,
    peer: PeerLimits,
    private readonly handler: ConnectionHandler,
    private readonly times: ConnectionTimes = defaultTimes,
    soon?: Soon,
  ) {
    this.splitter = new FrameSplitter(side === 'client' ? 'server' : 'client');
    this.received = new ReceiveWindow(own.connection);
    this.takesCalls = handler.takeCalls !== undefined;
    const sink = new StreamSink(stream);
    this.outbox = new Outbox(
      sink,
      peer,
      (error) => {
        this.fail(error);
      },
      () => {
        this.stalls.start();
      },
      soon,
    );
    this.stalls = new StallWatch(
      times.stallMs,
      () => this.outbox.waitingForCredit(),
      (id) => {
        if (id === 0) this.fail(new WireError('CREDIT_STALL', 'the connection'));
        else this.handler.onStalled(id);
      },
    );
    stream.on('data', (chunk: Buffer) => {
      this.receive(chunk);
    });
    stream.on('error', (error) => {
      this.closed(new AxleError('UNAVAILABLE', `the connection broke: ${messageOf(error)}`));
    });
    stream.on('close', () => {
      this.closed(new AxleError('UNAVAILABLE', 'the other side closed the connection'));
    });
  }

  get isClosed(): boolean {
    return this.closedBy !== undefined;
  }

  /** Handles whose frames were not written: the other side never heard of them. */
  get unsent(): ReadonlySet<number> {
    return this.outbox.unsent;
  }

  /** Small frames that the other side does not take. */
  get waitingFrames(): number {
    return this.outbox.waitingFrames;
  }

  /** Data that the other side does not take. */
  get waitingBytes(): number {
    return this.outbox.waitingBytes;
  }

  send(frame: Frame): void {
    if (this.closedBy === undefined) this.outbox.send(frame);
  }

  /** As `sendCallAsCame` of Outbox. */
  sendCallAsCame(
    id: number,
    binding: number,
    memory: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    return (
      this.closedBy === undefined && this.outbox.sendCallAsCame(id, binding, memory, start, end)
    );
  }

  /** RESULT frames as they go out, without data behind them. The bytes are copied. */
  sendResults(frames: Uint8Array): void {
    if (this.closedBy === undefined) this.outbox.sendResults(frames);
  }

  /** Asks for the end of a handle. @returns false when the other side has not heard of it */
  cancel(id: number): boolean {
    return this.closedBy === undefined && this.outbox.cancel(id);
  }

  /** As `sendData` of Outbox. */
  sendData(id: number, data: Uint8Array, end: boolean, onWritten?: () => void): void {
    if (this.closedBy === undefined) this.outbox.sendData(id, data, end, onWritten);
  }

  /** The handle sends and expects no more data. */
  forget(id: number): void {
    this.outbox.drop(id);
    this.receiving.delete(id);
  }

  /** DATA of the handle comes from now on. */
  expectData(id: number): void {
    this.receiving.set(id, new ReceiveWindow(this.own.stream));
  }

  /** Data of the handle was used, so that more may come. */
  usedData(id: number, bytes: number): void {
    const credit = this.receiving.get(id)?.used(bytes) ?? 0;
    if (credit > 0) this.send({ type: 'CREDIT', id, bytes: credit });
  }

  /** The other side has said what it takes. @throws WireError */
  peerTakes(peer: PeerLimits): void {
    this.outbox.peerTakes(peer);
    this.liveness ??= new Liveness(
      this.times,
      () => {
        this.send({ type: 'PING', id: 1 });
      },
      () => {
        this.destroy(new AxleError('UNAVAILABLE', 'the other side gave no sign of life'));
      },
    );
  }

  /** Says why, sends what may be sent, and closes. */
  end(goaway: GoawayFrame, reason: AxleError): void {
    if (this.closedBy !== undefined) return;
    this.outbox.send(goaway);
    this.outbox.flush();
    this.stream.end();
    this.linger();
    this.closed(reason);
  }

  /** As `end`, and takes no longer than `msMax` over it. */
  leave(goaway: GoawayFrame, reason: AxleError, msMax: number): void {
    const { stream } = this;
    const late = setTimeout(() => stream.destroy(), msMax);
    stream.once('close', () => {
      clearTimeout(late);
    });
    this.end(goaway, reason);
  }

  /** Closes when all that was to be sent has been sent. */
  finish(reason: AxleError): void {
    this.outbox.whenEmpty(() => {
      this.stream.end();
      this.linger();
      this.closed(reason);
    });
  }

  /** A side that does not read, or never closes, may not keep the stream. */
  private linger(): void {
    const late = setTimeout(() => {
      this.stream.destroy();
    }, lingerMs).unref();
    this.stream.once('close', () => {
      clearTimeout(late);
    });
  }

  /** At once. */
  destroy(reason: AxleError): void {
    this.closed(reason);
    this.stream.destroy();
  }

  private closed(reason: AxleError): void {
    if (this.closedBy !== undefined) return;
    this.closedBy = reason;
    this.stalls.stop();
    this.liveness?.stop();
    this.handler.onClosed(reason);
  }

  private receive(chunk: Buffer): void {
    if (this.closedBy !== undefined) return;
    this.liveness?.heard();
    try {
      this.splitter.push(chunk, this.onRaw, this.takesCalls ? this.takeCalls : undefined);
    } catch (error) {
      this.fail(error);
    }
  }

  private readonly takeCalls = (memory: Buffer, view: DataView, at: number): number => {
    if (this.closedBy !== undefined) return 0;
    const bytes = this.handler.takeCalls?.(memory, view, at) ?? 0;
    if (bytes > 0) this.accountBytes(bytes, 'CALL');
    return bytes;
  };

  private readonly onRaw = (raw: RawFrame): void => {
    if (this.closedBy !== undefined) return;
    const { type, id } = raw;
    if (type === 'CREDIT') {
      this.stalls.credited(id);
      this.outbox.credit(id, (decodeFrame(raw) as CreditFrame).bytes);
      return;
    }
    if (type === 'PING') {
      this.pong(raw);
      return;
    }
    if (type === 'PONG') return;
    if (raw.rules.class !== 'control') this.account(raw);
    this.handler.onFrame(raw);
  };

  private account({ type, id, start, end, isRest }: RawFrame): void {
    const bytes = end - start + (isRest ? 0 : headerBytes);
    this.accountBytes(bytes, type);
    if (type === 'DATA') this.receiving.get(id)?.take(end - start, type);
  }

  private accountBytes(bytes: number, type: FrameTypeName): void {
    this.received.take(bytes, type);
    const credit = this.received.used(bytes);
    if (credit > 0) this.send({ type: 'CREDIT', id: 0, bytes: credit });
  }

  private pong(raw: RawFrame): void {
    decodeFrame(raw);
    const unread = this.stream.writableLength > unreadBytesMax;
    if (unread || this.pongs >= pongsPendingMax) throw new WireError('PING_FLOOD', 'PING');
    this.pongs += 1;
    this.send({ type: 'PONG', id: raw.id });
    setImmediate(() => {
      this.pongs -= 1;
    });
  }

  /** Ends the connection for a fault; a WireError is told to the other side. */
  fail(error: unknown): void {
    const reason = error instanceof AxleError ? error : new AxleError('INTERNAL', messageOf(error));
    const wireError = error instanceof WireError ? WireErrorId[error.wireError] : 0;
    this.end(goawayOf(reason, wireError), reason);
  }
}

/** Says nothing but why. */
export function goawayOf(reason: AxleError, wireError: number): GoawayFrame {
  return {
    type: 'GOAWAY',
    id: 0,
    code: reason.code,
    wireError,
    versionMin: 0,
    versionMax: 0,
    last: 0,
    graceMs: 0,
    alternate: '',
    message: reason.message,
  };
}

class StreamSink {
  constructor(private readonly stream: Duplex) {}

  get pendingBytes(): number {
    return this.stream.writableLength;
  }

  send(parts: readonly Uint8Array[], onSent?: () => void): void {
    const { stream } = this;
    if (stream.destroyed || stream.writableEnded) return;
    const last = parts.length - 1;
    if (last > 0) stream.cork();
    for (let i = 0; i < last; i++) stream.write(parts[i]);
    stream.write(
      parts[last] ?? nothing,
      onSent &&
        (() => {
          onSent();
        }),
    );
    if (last > 0) stream.uncork();
  }
}

const nothing = new Uint8Array(0);
