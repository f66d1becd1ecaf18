import type { Duplex } from 'node:stream';

import { AxleError, messageOf, type CallAsCame, type Tensor } from '@axle/core/internal';

import {
  Connection,
  goawayOf,
  type ConnectionHandler,
  type Windows,
} from '../connection/connection.js';
import type { Soon } from '../connection/outbox.js';
import type { ConnectionTimes } from '../connection/times.js';
import { WIRE_VERSION, WireFeature, wireLimits } from '../generated/wire.js';
import { HandleTable } from '../handle-table.js';
import { decodeData, decodeFrame } from '../wire/decode-frame.js';
import type { ArenaFrame, ErrorFrame, Frame, GoawayFrame, WelcomeFrame } from '../wire/frames.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import { fromWireUs } from '../wire/time.js';
import { WireError } from '../wire/wire-error.js';
import type { ClientArena } from '../shared-memory/client-arena.js';
import { Acks } from './acks.js';
import type { HelloCredentials } from './credentials.js';
import type { FetchArena } from './fetch-arena.js';
import { connectionLost } from './lost-call.js';
import type { PendingAnswer } from './pending-answer.js';
import type { Timers } from '../timers.js';

const MiB = 1024 * 1024;
const windows: Windows = { connection: 32 * MiB, stream: 8 * MiB };

/** How long a server may take to answer the greeting, milliseconds. */
const greetingMsMax = 10_000;
/** How long a client that leaves tries to say so, milliseconds. */
const leaveMsMax = 1000;

/** Who is told what becomes of a connection. */
export interface WireClientListener {
  /** The server took the greeting. */
  onWelcome(client: WireClient): void;
  /**
   * The server takes nothing new; what it accepted is still answered.
   *
   * @param neverRan what it did not accept.
   */
  onLeaving(client: WireClient, goaway: GoawayFrame, neverRan: readonly PendingAnswer[]): void;
  /** Nothing more comes. Called once. */
  onClosed(client: WireClient, reason: AxleError, unanswered: readonly Unanswered[]): void;
}

/** What a connection ended before. */
export interface Unanswered {
  readonly answer: PendingAnswer;
  /** The server never heard of it. */
  readonly neverSent: boolean;
}

export interface WireClientOptions {
  /** Random, 16 bytes, one for the life of the client. */
  readonly nonce: Uint8Array;
  readonly timers: Timers;
  readonly credentials: HelloCredentials;
  /** Undefined where no memory can be shared. */
  readonly fetchArena?: FetchArena | undefined;
  readonly times?: ConnectionTimes | undefined;
  /** When what was sent is written; default: after the caller. */
  readonly soon?: Soon | undefined;
}

/** The client's side of one connection: it hands answers to whoever waits for them. */
export class WireClient implements ConnectionHandler {
  private readonly connection: Connection;
  private readonly pending = new HandleTable<PendingAnswer>();
  private readonly acks: Acks;
  private readonly stopGreetingTimer: () => void;
  /** Of the server's run, in hex. */
  private serverInstance: string | undefined;
  private serverHandlesMax = 0;
  /** Why the server takes nothing new. */
  private leaving: AxleError | undefined;
  /** Why it was closed. */
  private closedBy: AxleError | undefined;
  private results = 0;
  /** Memory that the server shares, once it is there. */
  private sharedArena: ClientArena | undefined = undefined;
  private isArenaKnown = false;
  private readonly awaitArena: (() => void)[] = [];
  /** Those that hear more after their answer. */
  private readonly staying = new Map<number, PendingAnswer>();

  constructor(
    stream: Duplex,
    private readonly options: WireClientOptions,
    private readonly listener: WireClientListener,
  ) {
    const { timers, times, soon } = options;
    this.connection = new Connection(
      stream,
      'client',
      windows,
      {
        payloadBytesMax: wireLimits.payloadBytesMax,
        connection: wireLimits.serverConnectionWindowMin,
        stream: wireLimits.serverStreamWindowMin,
      },
      this,
      times,
      soon,
    );
    this.acks = new Acks(this.pending, (id) => {
      this.connection.send({ type: 'ACK', id });
    });
    this.stopGreetingTimer = timers.after(greetingMsMax, () => {
      this.connection.destroy(new AxleError('UNAVAILABLE', `no greeting in ${greetingMsMax} ms`));
    });
    this.hello(options.credentials);
  }

  /** Which run of which server this is; undefined before it has said so. */
  get instance(): string | undefined {
    return this.serverInstance;
  }

  /** Handles that may be open at a time, as the server has said. */
  get handlesMax(): number {
    return this.serverHandlesMax;
  }

  get arena(): ClientArena | undefined {
    return this.sharedArena;
  }

  /** The same, once it is known whether there is any. */
  async knownArena(): Promise<ClientArena | undefined> {
    if (!this.isArenaKnown) {
      await new Promise<void>((resolve) => {
        this.awaitArena.push(resolve);
      });
    }
    return this.sharedArena;
  }

  get unanswered(): number {
    return this.pending.size;
  }

  /** Handles that were answered, and not with ERROR. */
  get answered(): number {
    return this.results;
  }

  /**
   * Sends a frame that makes a handle; `answer` hears what becomes of it, from the next turn on.
   *
   * @throws AxleError UNAVAILABLE when the connection is gone; WireError for a frame that is out of form.
   */
  ask(frame: Frame, answer: PendingAnswer): void {
    const gone = this.closedBy ?? this.leaving;
    if (gone !== undefined) throw gone;
    this.connection.send(frame);
    this.pending.add(frame.id, answer);
  }

  /**
   * The same of a CALL, as it came over another connection.
   *
   * @returns whether it went; false: it is to be asked as others, which may wait.
   * @throws AxleError UNAVAILABLE when the connection is gone.
   */
  askAsCame(
    id: number,
    binding: number,
    { memory, start, end }: CallAsCame,
    answer: PendingAnswer,
  ): boolean {
    const gone = this.closedBy ?? this.leaving;
    if (gone !== undefined) throw gone;
    if (!this.connection.sendCallAsCame(id, binding, memory, start, end)) return false;
    this.pending.add(id, answer);
    return true;
  }

  send(frame: Frame): void {
    this.connection.send(frame);
  }

  /** Asks for the end of a handle; it is answered all the same. */
  cancel(id: number): void {
    const answer = this.pending.get(id);
    if (answer === undefined || this.connection.cancel(id)) return;
    this.drop(id);
    answer.onFailed(AxleError.expected('CANCELLED', 'the call was cancelled before it was sent'));
  }

  /** The bytes of tensors that follow a frame; they must not change until they are sent. */
  sendTensors(id: number, tensors: readonly Tensor[]): void {
    for (const { segments } of tensors) {
      for (const segment of segments) this.connection.sendData(id, segment, false);
    }
  }

  /** Bytes of a stream, which must not change until they are sent; `onWritten` is told when they have found credit. */
  sendData(id: number, data: Uint8Array, end: boolean, onWritten: () => void): void {
    this.connection.sendData(id, data, end, onWritten);
  }

  /** Bytes that follow a frame; they must not change until they are sent. */
  sendBytes(id: number, bytes: Uint8Array): void {
    this.connection.sendData(id, bytes, false);
  }

  /** DATA of the handle comes from now on. */
  expectData(id: number): void {
    this.connection.expectData(id);
  }

  /** Data was used, so that more may come. */
  usedData(id: number, bytes: number): void {
    this.connection.usedData(id, bytes);
  }

  /** The whole answer of a handle came that the server keeps until it is told so. */
  acknowledge(id: number, bytes: number): void {
    this.acks.answered(id, bytes);
  }

  /** Leaves: the server keeps nothing for this client any more. */
  close(reason: AxleError): void {
    this.connection.leave({ ...goawayOf(reason, 0), code: 'OK' }, reason, leaveMsMax);
  }

  onFrame(raw: RawFrame): void {
    switch (raw.type) {
      case 'WELCOME':
        this.welcome(decodeFrame(raw) as WelcomeFrame);
        return;
      case 'GOAWAY':
        this.leave(decodeFrame(raw) as GoawayFrame);
        return;
      case 'ARENA':
        void this.share(decodeFrame(raw) as ArenaFrame);
        return;
      case 'ERROR':
        this.fail(decodeFrame(raw) as ErrorFrame);
        return;
      default:
        this.answer(raw);
    }
  }

  onStalled(id: number): void {
    const answer = this.pending.get(id);
    if (answer === undefined || answer.mayWait === true) return;
    this.connection.cancel(id);
    this.drop(id);
    answer.onFailed(
      AxleError.expected(
        'RESOURCE_EXHAUSTED',
        'the server took no data of this call for too long; try again later',
      ),
    );
  }

  onClosed(reason: AxleError): void {
    this.closedBy = reason;
    this.stopGreetingTimer();
    this.arenaIsKnown();
    const { unsent } = this.connection;
    const unanswered = this.pending
      .takePast(0)
      .map(([id, answer]) => ({ answer, neverSent: unsent.has(id) }));
    this.listener.onClosed(this, reason, unanswered);
  }

  private hello({ token, tenant }: HelloCredentials): void {
    this.connection.send({
      type: 'HELLO',
      id: 0,
      version: WIRE_VERSION,
      versionMin: WIRE_VERSION,
      versionMax: WIRE_VERSION,
      credential: token.byteLength === 0 ? 'NONE' : 'TOKEN',
      features: this.options.fetchArena === undefined ? 0 : WireFeature.SHARED_MEMORY,
      nonce: this.options.nonce,
      payloadMax: wireLimits.payloadBytesMax,
      streamWindow: windows.stream,
      connectionWindow: windows.connection,
      tenant,
      token,
      agent: 'axle',
    });
  }

  private welcome(frame: WelcomeFrame): void {
    const { payloadMax, connectionWindow, streamWindow, instance, features } = frame;
    if (this.serverInstance !== undefined) throw new WireError('WRONG_STATE', 'WELCOME');
    this.serverInstance = Buffer.from(instance).toString('hex');
    this.serverHandlesMax = frame.handlesMax;
    this.stopGreetingTimer();
    this.connection.peerTakes({
      payloadBytesMax: payloadMax,
      connection: connectionWindow,
      stream: streamWindow,
    });
    // Its offer comes right behind.
    const isGranted = (features & WireFeature.SHARED_MEMORY) !== 0;
    if (!isGranted || this.options.fetchArena === undefined) this.arenaIsKnown();
    this.listener.onWelcome(this);
  }

  private async share(offer: ArenaFrame): Promise<void> {
    try {
      const arena = await this.options.fetchArena?.(offer);
      if (arena === undefined || this.closedBy !== undefined) return;
      this.connection.send({ type: 'ARENA_READY', id: 0, arena: arena.id });
      this.sharedArena = arena;
    } catch (error) {
      // All goes through the socket then: slower, and right.
      if (this.closedBy !== undefined) return;
      warnOnce(`no shared memory with the server: ${messageOf(error)}`);
    } finally {
      this.arenaIsKnown();
    }
  }

  private arenaIsKnown(): void {
    this.isArenaKnown = true;
    for (const resolve of this.awaitArena.splice(0)) resolve();
  }

  private leave(goaway: GoawayFrame): void {
    const { code, message, last } = goaway;
    if (code !== 'OK') {
      // The greeting was refused, or a rule broken: nothing is answered any more.
      this.connection.destroy(new AxleError(code, message));
      return;
    }
    this.leaving ??= connectionLost(new AxleError('UNAVAILABLE', message));
    const neverRan = this.pending.takePast(last);
    for (const [id] of neverRan) this.connection.forget(id);
    this.listener.onLeaving(
      this,
      goaway,
      neverRan.map(([, answer]) => answer),
    );
    this.endIfLeft();
  }

  private fail(frame: ErrorFrame): void {
    const { id, code, message, retryable, outcomeUnknown, retryAfterUs } = frame;
    const answer = this.pending.get(id);
    if (answer?.isKept === true) this.acknowledge(id, 0);
    this.drop(id);
    const afterMs = retryAfterUs === 0 ? undefined : fromWireUs(retryAfterUs);
    const after =
      code === 'DEADLINE_EXCEEDED' ? { earliestMs: afterMs } : { retryAfterMs: afterMs };
    answer?.onFailed(new AxleError(code, message, { retryable, outcomeUnknown, ...after }));
  }

  private answer(raw: RawFrame): void {
    const { id } = raw;
    const answer = this.pending.get(id) ?? this.staying.get(id);
    // What comes for a handle that nobody waits for was on its way when that ended.
    if (answer === undefined) {
      if (raw.type === 'DATA') decodeData(raw);
      else decodeFrame(raw);
    } else if (answer.onFrame(raw)) {
      this.results += 1;
      if (answer.stays === true) this.staying.set(id, answer);
      this.drop(id);
    }
  }

  private drop(id: number): void {
    this.pending.delete(id);
    this.connection.forget(id);
    if (this.leaving !== undefined) this.endIfLeft();
  }

  /** All that the server accepted is answered. */
  private endIfLeft(): void {
    if (this.leaving !== undefined && this.pending.size === 0) this.close(this.leaving);
  }
}

let hasWarned = false;

/** Clients come and go, and meet the same each time. */
function warnOnce(message: string): void {
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(message, 'AxleWarning');
}
