import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';

import { AxleError, type Tensor } from '@axle/core/internal';

import { Connection, type ConnectionHandler, type Windows } from '../connection/connection.js';
import type { ConnectionTimes } from '../connection/times.js';
import { WIRE_VERSION, wireLimits } from '../generated/wire.js';
import { HandleTable } from '../handle-table.js';
import { decodeData, decodeFrame } from '../wire/decode-frame.js';
import type { ErrorFrame, Frame, GoawayFrame, WelcomeFrame } from '../wire/frames.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import type { HelloCredentials } from './credentials.js';
import type { PendingAnswer } from './pending-answer.js';

const MiB = 1024 * 1024;
const windows: Windows = { connection: 32 * MiB, stream: 8 * MiB };

/** The client's side of one connection: it numbers handles, and hands answers to whoever waits for them. */
export class WireClient implements ConnectionHandler {
  private readonly connection: Connection;
  private readonly pending = new HandleTable<PendingAnswer>();
  private lastHandle = 0;
  /** Why the server takes nothing new. */
  private leaving: AxleError | undefined;
  /** Why it was closed. */
  private closedBy: AxleError | undefined;

  constructor(stream: Duplex, credentials: HelloCredentials, times?: ConnectionTimes) {
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
    );
    this.hello(credentials);
  }

  get closedReason(): AxleError | undefined {
    return this.closedBy ?? this.leaving;
  }

  newHandle(): number {
    this.lastHandle += 1;
    return this.lastHandle;
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

  close(reason: AxleError): void {
    this.connection.destroy(reason);
  }

  onFrame(raw: RawFrame): void {
    switch (raw.type) {
      case 'WELCOME':
        this.welcome(decodeFrame(raw) as WelcomeFrame);
        return;
      case 'GOAWAY':
        this.leave(decodeFrame(raw) as GoawayFrame);
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
    for (const answer of this.pending.takePast(0)) answer.onFailed(reason);
  }

  private hello({ token, tenant }: HelloCredentials): void {
    this.connection.send({
      type: 'HELLO',
      id: 0,
      version: WIRE_VERSION,
      versionMin: WIRE_VERSION,
      versionMax: WIRE_VERSION,
      credential: token.byteLength === 0 ? 'NONE' : 'TOKEN',
      features: 0,
      nonce: randomBytes(16),
      payloadMax: wireLimits.payloadBytesMax,
      streamWindow: windows.stream,
      connectionWindow: windows.connection,
      tenant,
      token,
      agent: 'axle',
    });
  }

  private welcome({ payloadMax, connectionWindow, streamWindow }: WelcomeFrame): void {
    this.connection.peerTakes({
      payloadBytesMax: payloadMax,
      connection: connectionWindow,
      stream: streamWindow,
    });
  }

  private leave({ code, message, last }: GoawayFrame): void {
    if (code !== 'OK') {
      // The greeting was refused, or a rule broken: nothing is answered any more.
      this.close(new AxleError(code, message));
      return;
    }
    const reason = new AxleError('UNAVAILABLE', `the server leaves: ${message}`);
    this.leaving = reason;
    for (const answer of this.pending.takePast(last)) answer.onFailed(reason);
  }

  private fail({ id, code, message, retryable }: ErrorFrame): void {
    const answer = this.pending.get(id);
    this.drop(id);
    answer?.onFailed(new AxleError(code, message, { retryable }));
  }

  private answer(raw: RawFrame): void {
    const { id } = raw;
    const answer = this.pending.get(id);
    // What comes for a handle that nobody waits for was on its way when that ended.
    if (answer === undefined) {
      if (raw.type === 'DATA') decodeData(raw);
      else decodeFrame(raw);
    } else if (answer.onFrame(raw)) this.drop(id);
  }

  private drop(id: number): void {
    this.pending.delete(id);
    this.connection.forget(id);
  }
}
