import type { Duplex } from 'node:stream';

import {
  asAxleError,
  AxleError,
  type CallOutcome,
  type Device,
  directCallsMode,
  type Runtime,
  type Session,
  type TenantShare,
  type Tensor,
} from '@axle/core/internal';

import type { ConnectionTimes } from '../connection/times.js';
import {
  Connection,
  goawayOf,
  type ConnectionHandler,
  type Windows,
} from '../connection/connection.js';
import { DEVICE_NONE, WIRE_VERSION, WireFeature, wireLimits } from '../generated/wire.js';
import type { GuestMemory } from '../shared-memory/guest-memory.js';
import type { ServerArena } from '../shared-memory/server-arena.js';
import type { Ledger } from '../trust/ledger.js';
import type { Tenant } from '../trust/tenants.js';
import { decodeCall, decodeFrame } from '../wire/decode-frame.js';
import type {
  ArenaReadyFrame,
  AttachFrame,
  BindFrame,
  DescribeFrame,
  Frame,
  HelloFrame,
  LoadFrame,
  ModelFrame,
  PublishFrame,
  PutFrame,
  ReadFrame,
  RemoveFrame,
  StreamFrame,
  UsedFrame,
} from '../wire/frames.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import { fromWireUs, toWireUs } from '../wire/time.js';
import { WireError } from '../wire/wire-error.js';
import type { ArenaOffer } from './arena-offers.js';
import { bind, type Binding } from './binding.js';
import { CallLanes, type LaneHost } from './call-lanes.js';
import type { ClientConnection, ClientRecord } from './client-record.js';
import { Describing } from './describe.js';
import type { DeviceWatch } from './device-watch.js';
import { FailedBefore } from './failed-before.js';
import type { Front } from './front.js';
import { Handles } from './handles.js';
import type { Held } from './held.js';
import { beginLoad } from './models/load-request.js';
import { beginModel } from './models/model-request.js';
import { list, publish, read, remove } from './models/name-requests.js';
import type { ServerModels } from './models/server-models.js';
import { RecentHandles } from './recent-handles.js';
import type { Resumption } from './resumption.js';
import { answerCall, ServerCall } from './server-call.js';
import { ServerPut } from './server-put.js';
import { ServerStream } from './server-stream.js';
import type { WireRequests } from './wire-requests.js';

const agent = 'axle';
/** Open handles of one connection. */
const handlesMax = 65_536;
/** Answers that the client gives no credit for: then the connection ends. */
const unreadFramesMax = 16_384;
/** Their data, bytes: then it gets no more of them. */
const unreadBytesMax = 1024 * 1024 * 1024;
/** Handles whose failure is remembered, for what names them before the client knows. */
const failuresMax = 1024;
/** How long a connection whose client has another one may take over its end, milliseconds. */
const supersedeMsMax = 1000;

/** Calls without KEEP that are remembered, for what names their outputs all the same. */
const notKeptMax = 1024;

interface Failure {
  readonly error: AxleError;
  /** The handle that failed first. */
  readonly first: number;
}

/** A client that has been let in. */
export interface Admitted {
  readonly session: Session;
  readonly tenant: Tenant;
  /** As `Front.share`. */
  readonly share?: TenantShare | undefined;
}

/** Memory to share with the client of one connection. */
export interface Arenas {
  offer(usage: Ledger): ArenaOffer | undefined;
  /** @throws AxleError PERMISSION_DENIED, UNAVAILABLE. */
  handOver(ticket: Uint8Array): void;
}

export interface WireFrontOptions {
  readonly runtime: Runtime;
  /** Of that runtime. */
  readonly watch: DeviceWatch;
  /** @throws AxleError UNAUTHENTICATED, PERMISSION_DENIED or RESOURCE_EXHAUSTED. */
  readonly authenticate: (hello: HelloFrame) => Admitted;
  readonly windows: Windows;
  /** Random, 16 bytes, of this run of the server. */
  readonly instance: Uint8Array;
  /** All inputs of one call, bytes. */
  readonly requestBytesMax: number;
  readonly resumption: Resumption;
  /** Where memory can be shared; undefined: not on this transport. */
  readonly arenas?: Arenas | undefined;
  /** Opens the memory of the guest that connects here, if it can be; undefined: this is no guest's. */
  readonly openGuestMemory?: (() => GuestMemory | undefined) | undefined;
  /** Of tensors that one connection keeps here, bytes. */
  readonly keptBytesMax: number;
  /** Time for the greeting, milliseconds. */
  readonly handshakeMs: number;
  readonly models: ServerModels;
  readonly times?: ConnectionTimes;
  /** Told how each ends; undefined: nobody logs. */
  readonly requests?: WireRequests;
  /** Called once. */
  readonly onClosed: () => void;
}

/** The server's side of one connection: greeting, handles and drain. What requests mean is theirs. */
export class WireFront implements ConnectionHandler, Front, ClientConnection, LaneHost {
  readonly runtime: Runtime;
  readonly watch: DeviceWatch;
  readonly requestBytesMax: number;
  bytesDue = 0;
  readonly keptBytesMax: number;
  keptBytes = 0;
  streams = 0;
  unanswered = 0;
  client: ClientRecord | undefined = undefined;
  arena: ServerArena | undefined = undefined;
  guestMemory: GuestMemory | undefined = undefined;
  payloadMax: number = wireLimits.payloadBytesMin;
  private readonly connection: Connection;
  private readonly handles = new Handles<Held>();
  private readonly failures = new Map<number, Failure>();
  private readonly notKept = new RecentHandles(notKeptMax);
  private readonly deviceIndexes = new Map<string, number>();
  private greeted: Admitted | undefined;
  private readonly greetingTimer: NodeJS.Timeout;
  private offer: ArenaOffer | undefined = undefined;
  /** Frames that make handles past it are dropped: the client was told. */
  private lastTaken = Infinity;
  /** Undefined: no calls go past this. */
  private readonly lanes: CallLanes | undefined;
  private drained: (() => void) | undefined;

  constructor(
    stream: Duplex,
    private readonly options: WireFrontOptions,
  ) {
    const least = {
      payloadBytesMax: wireLimits.payloadBytesMin,
      connection: 4 * wireLimits.payloadBytesMin,
      stream: wireLimits.payloadBytesMin,
    };
    this.runtime = options.runtime;
    this.watch = options.watch;
    this.requestBytesMax = options.requestBytesMax;
    this.keptBytesMax = options.keptBytesMax;
    const { windows, times } = options;
    this.connection = new Connection(stream, 'server', windows, least, this, times);
    this.lanes = directCallsMode() === 'off' ? undefined : new CallLanes(this);
    this.greetingTimer = setTimeout(() => {
      this.connection.fail(
        new WireError('HANDSHAKE_TIMEOUT', `within ${this.options.handshakeMs} ms`),
      );
    }, options.handshakeMs);
  }

  get session(): Session {
    return (this.greeted as Admitted).session;
  }

  get tenant(): Tenant {
    return (this.greeted as Admitted).tenant;
  }

  get share(): TenantShare | undefined {
    return (this.greeted as Admitted).share;
  }

  get openHandles(): number {
    return this.handles.size;
  }

  onFrame(raw: RawFrame): void {
    const { id, type } = raw;
    if (this.greeted === undefined) {
      this.greet(decodeFrame(raw));
      return;
    }
    switch (type) {
      case 'DATA':
        this.heldAt(id)?.onData(raw);
        return;
      case 'CANCEL':
        this.cancel(id, new AxleError('CANCELLED', 'the client cancelled the call'));
        return;
      case 'RELEASE':
        this.release(id);
        return;
      case 'ACK':
        this.acknowledge(id);
        return;
      case 'ARENA_READY':
        this.shareArena(decodeFrame(raw) as ArenaReadyFrame);
        return;
      case 'USED':
        this.chargeElsewhere(decodeFrame(raw) as UsedFrame);
        return;
      case 'GOAWAY':
        if (this.client !== undefined) this.client.hasLeft = true;
        return;
      default:
        if (raw.rules.names === 'new') this.request(raw);
        else throw new WireError('WRONG_STATE', type);
    }
  }

  takeCalls(memory: Buffer, view: DataView, at: number): number {
    return this.lanes?.take(memory, view, at) ?? 0;
  }

  get letsCallsPast(): boolean {
    const { drained, lastTaken, connection, options } = this;
    if (drained !== undefined || lastTaken !== Infinity || connection.waitingFrames > 0)
      return false;
    return options.requests?.tellsAll !== true && this.tenant.rates.areUnlimited;
  }

  get handleRoom(): number {
    return handlesMax - this.handles.size;
  }

  get lastHandle(): number {
    return this.handles.last;
  }

  madeElsewhere(last: number, calls: number): void {
    this.handles.make(last);
    this.unanswered += calls;
  }

  answeredElsewhere(results: Uint8Array, calls: number): void {
    this.unanswered -= calls;
    this.connection.sendResults(results);
    this.endIfDrained();
  }

  runAgain(binding: Binding, raw: RawFrame): void {
    const { id } = raw;
    try {
      ServerCall.beginOf(binding, this, decodeCall(raw));
    } catch (error) {
      this.fail(id, error);
    }
  }

  settledElsewhere(binding: Binding, id: number, outcome: CallOutcome | AxleError): void {
    if (outcome instanceof AxleError) {
      this.fail(id, outcome);
      return;
    }
    try {
      answerCall(this, id, binding, outcome);
    } catch (error) {
      this.fail(id, error);
    }
  }

  onStalled(id: number): void {
    const held = this.heldAt(id);
    // It takes no more than its window, however long its user leaves it unread.
    if (held instanceof ServerStream) return;
    const reason = AxleError.expected(
      'RESOURCE_EXHAUSTED',
      'the client gave no credit for the data of this call; read what was asked for',
    );
    if (held === undefined) {
      // In place of the rest of what its RESULT announced.
      this.connection.forget(id);
      this.connection.send(errorFrame(id, reason, 0));
    } else this.fail(id, reason);
  }

  onClosed(): void {
    clearTimeout(this.greetingTimer);
    this.offer?.end();
    this.end();
    this.guestMemory?.end();
    this.options.onClosed();
    this.drained?.();
  }

  supersede(): void {
    const reason = new AxleError('ABORTED', 'another connection with this nonce took the place');
    this.connection.leave(goawayOf(reason, 0), reason, supersedeMsMax);
  }

  /**
   * Takes no more handles, and closes when those that were taken are answered, or after `graceMs`.
   *
   * @param alternate the endpoint that takes over; '' = none
   */
  drain(graceMs: number, alternate: string): Promise<void> {
    return new Promise((resolve) => {
      if (this.connection.isClosed) {
        resolve();
        return;
      }
      const late = setTimeout(() => {
        this.connection.destroy(shuttingDown());
      }, graceMs);
      this.drained = () => {
        clearTimeout(late);
        resolve();
      };
      this.lastTaken = this.handles.last;
      this.connection.send({
        ...goawayOf(shuttingDown(), 0),
        code: 'OK',
        last: this.lastTaken,
        graceMs,
        alternate,
      });
      this.endIfDrained();
    });
  }

  /** Ends the connection at once, saying why. */
  expel(reason: AxleError): void {
    this.connection.end(goawayOf(reason, 0), reason);
  }

  deviceIndexOf(deviceId: string): number {
    const { devices } = this.runtime.registry;
    // Devices may be added, and stay.
    for (let index = this.deviceIndexes.size; index < devices.length; index++) {
      this.deviceIndexes.set((devices[index] as Device).id, index);
    }
    return this.deviceIndexes.get(deviceId) ?? DEVICE_NONE;
  }

  named(id: number): Held | undefined {
    const held = this.handles.get(id);
    return held?.isReleased === true ? undefined : held;
  }

  notThere(id: number, what: string): AxleError {
    const failure = this.failures.get(id);
    if (failure !== undefined) return new FailedBefore(failure.error, failure.first);
    return new AxleError('NOT_FOUND', `handle ${id} is no ${what} that is open`);
  }

  wasNotKept(id: number): boolean {
    return this.notKept.has(id) || this.lanes?.has(id) === true;
  }

  hold(id: number, held: Held): void {
    this.tenant.usage.take('handles');
    this.handles.set(id, held);
  }

  answer(frame: Frame, following: readonly Tensor[], keeps: boolean): void {
    const { id } = frame;
    this.options.requests?.answered(frame, this.handles.get(id));
    this.connection.send(frame);
    if (frame.type === 'RESULT' && !keeps) this.notKept.add(id);
    if (following.length > 0) this.sendFollowing(id, following);
    this.answered(id, keeps);
  }

  fail(id: number, reason: unknown): void {
    const error = asAxleError(reason);
    const first = error instanceof FailedBefore ? error.handle : id;
    if (first === id) this.options.requests?.failed(id, error, this.handles.get(id));
    this.connection.forget(id);
    this.connection.send(errorFrame(id, error, first === id ? 0 : first));
    this.failures.set(id, { error, first });
    if (this.failures.size > failuresMax) this.forgetOldestFailure();
    this.handles.get(id)?.onFailed(new FailedBefore(error, first));
    this.answered(id, false);
  }

  send(frame: Frame): void {
    this.connection.send(frame);
  }

  sendData(id: number, data: Uint8Array, onWritten: () => void): void {
    this.connection.sendData(id, data, false, onWritten);
  }

  expectData(id: number): void {
    this.connection.expectData(id);
  }

  usedData(id: number, bytes: number): void {
    this.connection.usedData(id, bytes);
  }

  forgetData(id: number): void {
    this.connection.forget(id);
  }

  private sendFollowing(id: number, tensors: readonly Tensor[]): void {
    const all = tensors.flatMap((tensor) => tensor.segments);
    const segments = all.filter(({ byteLength }) => byteLength > 0);
    const last = segments.pop();
    for (const segment of segments) this.connection.sendData(id, segment, false);
    if (last === undefined) return;
    this.connection.sendData(id, last, false, () => {
      this.connection.forget(id);
    });
  }

  private greet(frame: Frame): void {
    if (frame.type === 'ATTACH') {
      this.attach(frame);
      return;
    }
    if (frame.type !== 'HELLO') throw new WireError('WRONG_STATE', frame.type);
    if (frame.version !== WIRE_VERSION) {
      const reason = new AxleError(
        'FAILED_PRECONDITION',
        `this server speaks version ${WIRE_VERSION}`,
      );
      const versions = { versionMin: WIRE_VERSION, versionMax: WIRE_VERSION };
      this.connection.end({ ...goawayOf(reason, 0), ...versions }, reason);
      return;
    }
    try {
      this.greeted = this.options.authenticate(frame);
    } catch (error) {
      const reason = asAxleError(error);
      this.connection.end(goawayOf(reason, 0), reason);
      return;
    }
    clearTimeout(this.greetingTimer);
    this.client = this.options.resumption.attach(this.session.tenant, frame.nonce, this);
    const { payloadMax, connectionWindow, streamWindow } = frame;
    this.payloadMax = payloadMax;
    this.connection.peerTakes({
      payloadBytesMax: payloadMax,
      connection: connectionWindow,
      stream: streamWindow,
    });
    const wantsMemory = (frame.features & WireFeature.SHARED_MEMORY) !== 0;
    this.offer = wantsMemory ? this.options.arenas?.offer(this.tenant.usage) : undefined;
    const isGuest = (frame.features & WireFeature.GUEST_MEMORY) !== 0;
    this.guestMemory = isGuest ? this.options.openGuestMemory?.() : undefined;
    this.welcome(this.greeted.session);
    if (this.offer === undefined) return;
    const { arena, bytes, ticket } = this.offer;
    this.connection.send({ type: 'ARENA', id: 0, arena: arena.id, bytes, ticket });
  }

  /** The connection is a client's second one, which fetches shared memory and nothing else. */
  private attach({ ticket }: AttachFrame): void {
    const { arenas } = this.options;
    try {
      if (arenas === undefined) {
        throw new AxleError('PERMISSION_DENIED', 'no memory is shared here');
      }
      arenas.handOver(ticket);
    } catch (error) {
      const reason = asAxleError(error);
      this.connection.end(goawayOf(reason, 0), reason);
      return;
    }
    this.connection.finish(new AxleError('CANCELLED', 'the memory was handed over'));
  }

  private shareArena({ arena }: ArenaReadyFrame): void {
    if (this.offer?.arena.id !== arena || this.arena !== undefined) {
      throw new WireError('WRONG_STATE', 'ARENA_READY');
    }
    this.arena = this.offer.arena;
  }

  private chargeElsewhere({ device: index, usedUs }: UsedFrame): void {
    const device = this.runtime.registry.devices[index];
    if (device !== undefined) {
      this.runtime.chargeElsewhere(device, this.session.tenant, fromWireUs(usedUs));
    }
  }

  private welcome({ limits, tenant }: Session): void {
    const { windows, instance, models, resumption } = this.options;
    this.connection.send({
      type: 'WELCOME',
      id: 0,
      version: WIRE_VERSION,
      versionMin: WIRE_VERSION,
      versionMax: WIRE_VERSION,
      features:
        (this.offer === undefined ? 0 : WireFeature.SHARED_MEMORY) |
        (this.guestMemory === undefined ? 0 : WireFeature.GUEST_MEMORY),
      instance,
      payloadMax: wireLimits.payloadBytesMax,
      streamWindow: windows.stream,
      connectionWindow: windows.connection,
      callsMax: limits.callsInFlightMax,
      // 0 would be against the protocol; what is refused is refused when it comes.
      handlesMax: Math.max(1, Math.min(handlesMax, this.tenant.settings.quotas.handles)),
      idleMs: 0,
      requestBytesMax: this.requestBytesMax,
      modelBytesMax: models.store.modelBytesMax(tenant),
      lastHandle: this.client?.lastHandle ?? 0,
      resumeMs: this.client === undefined ? 0 : resumption.resumeMs,
      tenant,
      agent,
    });
  }

  private cancel(id: number, reason: AxleError): void {
    const held = this.heldAt(id);
    if (held !== undefined) {
      held.cancel(reason);
      return;
    }
    if (this.lanes?.forget(id) === true) this.fail(id, reason);
  }

  /** A frame that makes a handle: whatever comes of it, it is answered once. */
  private request(raw: RawFrame): void {
    const { id } = raw;
    // The client was told which handles are not taken any more.
    if (id > this.lastTaken) return;
    this.handles.make(id);
    this.unanswered += 1;
    this.options.requests?.began(id, raw.type);
    this.tenant.usage.add('calls');
    try {
      this.tenant.usage.check('calls');
      this.checkUnread();
      if (this.handles.size >= handlesMax) {
        throw tooMany(`${handlesMax} handles of this connection are open; release some of them`);
      }
      this.begin(raw);
    } catch (error) {
      // Naming a handle that was never made is no failure of the request but of the client.
      if (error instanceof WireError) throw error;
      this.fail(id, error);
    }
  }

  /** Answers wait in memory until the client takes them. */
  private checkUnread(): void {
    const { waitingFrames, waitingBytes } = this.connection;
    if (waitingFrames >= unreadFramesMax) throw new WireError('CREDIT_STALL', 'the connection');
    if (waitingBytes < unreadBytesMax) return;
    throw tooMany(`${waitingBytes} bytes of answers wait to be read; read them first`);
  }

  private begin(raw: RawFrame): void {
    const { models } = this.options;
    switch (raw.type) {
      case 'CALL': {
        const call = decodeCall(raw);
        const binding = ServerCall.begin(this, call);
        if (binding.isPlain) this.lanes?.countOrdinary(binding, call.binding);
        return;
      }
      case 'STREAM':
        ServerStream.begin(this, decodeFrame(raw) as StreamFrame);
        return;
      case 'PUT':
        ServerPut.begin(this, decodeFrame(raw) as PutFrame);
        return;
      case 'BIND':
        bind(this, decodeFrame(raw) as BindFrame);
        return;
      case 'DESCRIBE':
        Describing.begin(this, decodeFrame(raw) as DescribeFrame);
        return;
      case 'MODEL':
        beginModel(this, models, decodeFrame(raw) as ModelFrame);
        return;
      case 'LOAD':
        beginLoad(this, decodeFrame(raw) as LoadFrame);
        return;
      case 'PUBLISH':
        publish(this, models, decodeFrame(raw) as PublishFrame);
        return;
      case 'REMOVE':
        remove(this, models, decodeFrame(raw) as RemoveFrame);
        return;
      case 'LIST':
        decodeFrame(raw);
        list(this, models, raw.id);
        return;
      case 'READ':
        read(this, decodeFrame(raw) as ReadFrame);
        return;
      default:
        decodeFrame(raw);
        throw new AxleError('UNIMPLEMENTED', `this server does not know ${raw.type} yet`);
    }
  }

  /** What is under way under a handle; undefined: it is answered. */
  private heldAt(id: number): Held | undefined {
    const held = this.handles.get(id);
    return held?.isAnswered === true ? undefined : held;
  }

  private acknowledge(id: number): void {
    const { client } = this;
    if (id > Math.max(this.handles.last, client?.lastHandle ?? 0)) {
      throw new WireError('HANDLE_UNKNOWN', `ACK of handle ${id}`);
    }
    client?.acknowledge(id);
  }

  private release(id: number): void {
    const held = this.handles.get(id);
    if (held === undefined) return;
    held.isReleased = true;
    if (held.isAnswered) this.drop(id, held);
  }

  private answered(id: number, keeps: boolean): void {
    // What was open has been given back.
    if (this.connection.isClosed) return;
    this.unanswered -= 1;
    this.tenant.usage.give('calls');
    const held = this.handles.get(id);
    if (held !== undefined) {
      held.isAnswered = true;
      if (!keeps || held.isReleased) this.drop(id, held);
    }
    this.endIfDrained();
  }

  private drop(id: number, held: Held): void {
    this.handles.close(id);
    this.tenant.usage.give('handles');
    held.close();
  }

  /** Gives back all that the client held. */
  private end(): void {
    if (this.greeted === undefined) return;
    const { session, tenant } = this.greeted;
    const { client } = this;
    const held = this.handles.takeAll();
    this.lanes?.abandon();
    for (const each of held) each.close();
    session.close(client?.detach(this.handles.last));
    if (client !== undefined) this.options.resumption.lost(client);
    tenant.usage.give('handles', held.length);
    tenant.usage.give('calls', this.unanswered);
  }

  private forgetOldestFailure(): void {
    for (const id of this.failures.keys()) {
      this.failures.delete(id);
      return;
    }
  }

  private endIfDrained(): void {
    if (this.drained === undefined || this.unanswered > 0) return;
    this.connection.finish(shuttingDown());
  }
}

function shuttingDown(): AxleError {
  return new AxleError('UNAVAILABLE', 'the server is shutting down; connect to another one');
}

function tooMany(message: string): AxleError {
  return AxleError.expected('RESOURCE_EXHAUSTED', message);
}

function errorFrame(id: number, error: AxleError, cause: number): Frame {
  const { code, message, retryable, outcomeUnknown, earliestMs, retryAfterMs } = error;
  const afterMs = code === 'DEADLINE_EXCEEDED' ? earliestMs : retryAfterMs;
  return {
    type: 'ERROR',
    id,
    retryable,
    outcomeUnknown,
    code,
    device: DEVICE_NONE,
    // 0 would say nothing.
    retryAfterUs: afterMs === undefined ? 0 : Math.max(1, toWireUs(afterMs)),
    cause,
    message,
    detail: '',
  };
}
