import type { Duplex } from 'node:stream';

import {
  AxleError,
  DeviceFlag,
  messageOf,
  type Device,
  type Runtime,
  type Session,
  type Tensor,
} from '@axle/core/internal';

import {
  Connection,
  goawayOf,
  type ConnectionHandler,
  type Windows,
} from '../connection/connection.js';
import { DEVICE_NONE, FRAME_RULES, WIRE_VERSION, wireLimits } from '../generated/wire.js';
import { opNameOf } from '../op-names.js';
import { followingBytes, IncomingTensors } from '../tensors/incoming.js';
import type { Tenant } from '../trust/tenants.js';
import { decodeCall, decodeData, decodeFrame } from '../wire/decode-frame.js';
import type { BindFrame, CallFrame, Frame, HelloFrame, ResultFrame } from '../wire/frames.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import { fromWireUs } from '../wire/time.js';
import { WireError } from '../wire/wire-error.js';
import { bindingOf, optionsOf, type Binding } from './binding.js';
import { Handles } from './handles.js';
import { ServerCall, type CallOwner } from './server-call.js';

const agent = 'axle';
/** Open handles of one connection. */
const handlesMax = 65_536;

/** What a connection holds under a handle. */
type Held =
  | { readonly kind: 'binding'; readonly binding: Binding }
  | { readonly kind: 'failed'; readonly error: AxleError }
  | { readonly kind: 'call'; readonly call: ServerCall };

/** A client that has been let in. */
export interface Admitted {
  readonly session: Session;
  readonly tenant: Tenant;
}

export interface WireFrontOptions {
  readonly runtime: Runtime;
  /** @throws AxleError UNAUTHENTICATED, PERMISSION_DENIED or RESOURCE_EXHAUSTED. */
  readonly authenticate: (hello: HelloFrame) => Admitted;
  readonly windows: Windows;
  /** Random, 16 bytes, of this run of the server. */
  readonly instance: Uint8Array;
  /** All inputs of one call, bytes. */
  readonly requestBytesMax: number;
  /** Called once. */
  readonly onClosed: () => void;
}

/** The server's side of one connection: what its frames mean. */
export class WireFront implements ConnectionHandler, CallOwner {
  private readonly connection: Connection;
  private readonly handles = new Handles<Held>();
  private readonly deviceIndexes: ReadonlyMap<string, number>;
  private session: Session | undefined;
  private tenant: Tenant | undefined;
  private openCalls = 0;
  /** Announced by calls whose inputs are not all there. */
  private bytesDue = 0;
  private readonly greetingTimer: NodeJS.Timeout;
  /** Frames that make handles past it are dropped: the client was told. */
  private lastTaken = Infinity;
  private drained: (() => void) | undefined;
  payloadMax: number = wireLimits.payloadBytesMin;

  constructor(
    stream: Duplex,
    private readonly options: WireFrontOptions,
  ) {
    const least = {
      payloadBytesMax: wireLimits.payloadBytesMin,
      connection: 4 * wireLimits.payloadBytesMin,
      stream: wireLimits.payloadBytesMin,
    };
    const { devices } = options.runtime.registry;
    this.deviceIndexes = new Map(devices.map(({ id }, index) => [id, index]));
    this.connection = new Connection(stream, 'server', options.windows, least, this);
    this.greetingTimer = setTimeout(() => {
      this.connection.fail(new WireError('HANDSHAKE_TIMEOUT', 'the connection'));
    }, wireLimits.handshakeMs);
  }

  onFrame(raw: RawFrame): void {
    const { session } = this;
    if (session === undefined) {
      this.greet(decodeFrame(raw));
      return;
    }
    // The client was told which handles are not taken any more.
    if (raw.id > this.lastTaken && FRAME_RULES[raw.type].names === 'new') return;
    switch (raw.type) {
      case 'CALL':
        this.call(session, decodeCall(raw));
        return;
      case 'DATA':
        this.data(session, raw);
        return;
      case 'BIND':
        this.bind(decodeFrame(raw) as BindFrame);
        return;
      case 'DESCRIBE':
        this.describe(raw.id);
        return;
      case 'CANCEL':
        this.cancel(raw.id);
        return;
      case 'RELEASE':
        this.handles.get(raw.id);
        this.handles.close(raw.id);
        return;
      case 'GOAWAY':
        return;
      default:
        this.refuse(raw);
    }
  }

  onClosed(): void {
    clearTimeout(this.greetingTimer);
    this.session?.close();
    this.options.onClosed();
    this.drained?.();
  }

  /** Takes no more handles, and closes when those that were taken are answered, or after `graceMs`. */
  drain(graceMs: number): Promise<void> {
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
      });
      this.endIfDrained();
    });
  }

  /** Ends the connection at once, saying why. */
  expel(reason: AxleError): void {
    this.connection.end(goawayOf(reason, 0), reason);
  }

  private endIfDrained(): void {
    if (this.drained === undefined || this.openCalls > 0) return;
    this.connection.finish(shuttingDown());
  }

  deviceIndexOf(deviceId: string): number {
    return this.deviceIndexes.get(deviceId) ?? DEVICE_NONE;
  }

  answer({ id }: ServerCall, result: ResultFrame, following: readonly Tensor[]): void {
    this.connection.send(result);
    for (const { segments } of following) {
      for (const segment of segments) this.connection.sendData(id, segment, false);
    }
    this.closeCall(id);
  }

  private greet(frame: Frame): void {
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
      const { session, tenant } = this.options.authenticate(frame);
      this.session = session;
      this.tenant = tenant;
    } catch (error) {
      const reason = asAxleError(error);
      this.connection.end(goawayOf(reason, 0), reason);
      return;
    }
    clearTimeout(this.greetingTimer);
    const { payloadMax, connectionWindow, streamWindow } = frame;
    this.payloadMax = payloadMax;
    this.connection.peerTakes({
      payloadBytesMax: payloadMax,
      connection: connectionWindow,
      stream: streamWindow,
    });
    const { windows, instance } = this.options;
    const { limits } = this.session;
    this.connection.send({
      type: 'WELCOME',
      id: 0,
      version: WIRE_VERSION,
      versionMin: WIRE_VERSION,
      versionMax: WIRE_VERSION,
      features: 0,
      instance,
      payloadMax: wireLimits.payloadBytesMax,
      streamWindow: windows.stream,
      connectionWindow: windows.connection,
      callsMax: limits.callsInFlightMax,
      handlesMax,
      idleMs: 0,
      requestBytesMax: this.options.requestBytesMax,
      modelBytesMax: limits.modelFileBytesMax,
      lastHandle: 0,
      resumeMs: 0,
      tenant: this.session.tenant,
      agent,
    });
  }

  private bind(frame: BindFrame): void {
    this.handles.make(frame.id);
    if (this.handles.size >= handlesMax) {
      const error = tooMany(
        `${handlesMax} handles of this connection are open; release some of them`,
      );
      this.error(frame.id, error);
      return;
    }
    const opName = frame.opName === '' ? opNameOf(frame.op) : frame.opName;
    if (opName === undefined) {
      const error = new AxleError('UNIMPLEMENTED', `there is no op ${frame.op} here`);
      this.handles.set(frame.id, { kind: 'failed', error });
      this.error(frame.id, error);
      return;
    }
    const binding = bindingOf(frame, opName, undefined);
    this.handles.set(frame.id, { kind: 'binding', binding });
    this.connection.send({
      type: 'BOUND',
      id: frame.id,
      score: 1,
      opFlags: 0,
      device: DEVICE_NONE,
    });
  }

  private call(session: Session, frame: CallFrame): void {
    const { id } = frame;
    this.handles.make(id);
    try {
      const call = this.callOf(frame, session.limits.callsInFlightMax);
      this.handles.set(id, { kind: 'call', call });
      this.openCalls += 1;
      this.bytesDue += call.bytesDue;
      if (call.incoming.isComplete) this.start(session, call);
      else this.connection.expectData(id);
    } catch (error) {
      // Naming a handle that was never made is no failure of the call but of the client.
      if (error instanceof WireError) throw error;
      this.failed(id, error);
    }
  }

  private callOf(frame: CallFrame, callsMax: number): ServerCall {
    const { id, binding: bindingId, deadlineUs, priority, inputs } = frame;
    const held = this.handles.get(bindingId);
    if (held?.kind === 'failed') throw held.error;
    if (held?.kind !== 'binding') throw notFound(bindingId, 'binding');
    const { binding } = held;
    if (this.openCalls >= callsMax) {
      throw tooMany(
        `${callsMax} calls of this connection are not answered; await some of them first`,
      );
    }
    const bytesMax = this.options.requestBytesMax;
    const bytesDue = followingBytes(inputs);
    if (bytesDue > bytesMax) {
      throw new AxleError(
        'RESOURCE_EXHAUSTED',
        `the inputs have ${bytesDue} bytes; this server takes ${bytesMax}`,
        { retryable: false },
      );
    }
    if (this.bytesDue + bytesDue > bytesMax) {
      throw tooMany(
        `calls that are being sent have ${this.bytesDue} bytes already; await them first`,
      );
    }
    const incoming = new IncomingTensors();
    for (const input of inputs) {
      if (input.source === 'HANDLE' || input.source === 'SHARED') {
        throw new AxleError('UNIMPLEMENTED', `this server takes no ${input.source} inputs yet`);
      }
      incoming.add(input, binding.inputNames[input.slot] ?? '');
    }
    const deadlineAt =
      deadlineUs === 0 ? undefined : this.options.runtime.clock() + fromWireUs(deadlineUs);
    return new ServerCall(id, binding, deadlineAt, priority, bytesDue, incoming, this);
  }

  private start(session: Session, call: ServerCall): void {
    const { id, binding, deadlineAt, priority } = call;
    this.bytesDue -= call.bytesDue;
    call.bytesDue = 0;
    const leftMs = deadlineAt === undefined ? undefined : deadlineAt - session.runtime.clock();
    try {
      call.cancellation = session.start(
        optionsOf(binding, leftMs, priority),
        call,
        ignore,
        (reason) => {
          this.failed(id, reason);
        },
      );
    } catch (error) {
      this.failed(id, error);
    }
  }

  private data(session: Session, raw: RawFrame): void {
    const { id } = raw;
    const { data } = decodeData(raw);
    const held = this.handles.get(id);
    // Of a call that has failed meanwhile.
    if (held?.kind !== 'call') return;
    const { call } = held;
    call.incoming.take(data);
    this.connection.usedData(id, raw.end - raw.start);
    if (!call.incoming.isComplete) return;
    this.connection.forget(id);
    this.start(session, call);
  }

  private failed(id: number, reason: unknown): void {
    this.connection.forget(id);
    this.error(id, reason);
    this.closeCall(id);
  }

  private closeCall(id: number): void {
    const held = this.handles.get(id);
    if (held?.kind === 'call') {
      this.openCalls -= 1;
      this.bytesDue -= held.call.bytesDue;
    }
    this.handles.close(id);
    this.endIfDrained();
  }

  private cancel(id: number): void {
    const held = this.handles.get(id);
    if (held?.kind !== 'call') return;
    const reason = new AxleError('CANCELLED', 'the client cancelled the call');
    if (held.call.cancellation === undefined) this.failed(id, reason);
    else held.call.cancellation.cancel(reason);
  }

  private describe(id: number): void {
    this.handles.make(id);
    const { registry } = this.options.runtime;
    const { devices } = registry;
    devices.forEach((device, index) => {
      this.connection.send(deviceFrame(id, device, index));
    });
    for (const backend of registry.all) {
      for (const op of backend.ops) {
        const bits = new Uint8Array(32);
        for (const device of backend.devices) {
          const index = this.deviceIndexOf(device.id);
          bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
        }
        const { spec } = op;
        this.connection.send({
          type: 'OP',
          id,
          op: op.name === '' ? op.op : 0,
          opVersion: op.version,
          first: op.first,
          last: op.last,
          opFlags: op.flags,
          batchMax: op.batchMax,
          argCount: spec?.args.length ?? 0,
          inputCount: spec?.inputs.length ?? 0,
          outputCount: spec?.outputs.length ?? 0,
          name: op.name,
          doc: spec?.doc ?? '',
          devices: bits,
        });
        spec?.args.forEach(({ type, required, name, doc }, index) => {
          this.connection.send({ type: 'ARG_SPEC', id, argType: type, required, index, name, doc });
        });
        for (const role of ['INPUT', 'OUTPUT'] as const) {
          const tensors = (role === 'INPUT' ? spec?.inputs : spec?.outputs) ?? [];
          tensors.forEach(({ name, dtype, shape, anyRank = false }, index) => {
            this.connection.send({
              type: 'TENSOR_SPEC',
              id,
              role,
              dtype,
              index,
              name,
              shape,
              anyRank,
            });
          });
        }
      }
    }
    this.connection.send({ type: 'DONE', id });
  }

  private refuse(raw: RawFrame): void {
    const frame = decodeFrame(raw);
    if (frame.type === 'HELLO') throw new WireError('WRONG_STATE', 'HELLO');
    this.handles.make(frame.id);
    this.error(
      frame.id,
      new AxleError('UNIMPLEMENTED', `this server does not know ${frame.type} yet`),
    );
  }

  private error(id: number, reason: unknown): void {
    const { code, message, retryable } = asAxleError(reason);
    this.connection.send({
      type: 'ERROR',
      id,
      retryable,
      outcomeUnknown: false,
      code,
      device: DEVICE_NONE,
      retryAfterUs: 0,
      cause: 0,
      message,
      detail: '',
    });
  }
}

function shuttingDown(): AxleError {
  return new AxleError('UNAVAILABLE', 'the server is shutting down; connect to another one');
}

function tooMany(message: string): AxleError {
  return AxleError.expected('RESOURCE_EXHAUSTED', message);
}

const ignore = () => undefined;

function notFound(id: number, what: string): AxleError {
  return new AxleError('NOT_FOUND', `handle ${id} is no ${what} that is open`);
}

function asAxleError(error: unknown): AxleError {
  if (error instanceof AxleError) return error;
  return new AxleError('INTERNAL', messageOf(error), { cause: error });
}

function deviceFrame(id: number, device: Device, index: number): Frame {
  return {
    type: 'DEVICE',
    id,
    index,
    kind: device.kind,
    health: 'OK',
    deviceFlags: device.emulated ? DeviceFlag.EMULATED : 0,
    memoryBytes: device.memoryBytes,
    parallel: device.parallel,
    waitUs: 0,
    device: device.id,
    name: device.name,
    backend: device.backend,
    backendVersion: '',
    message: '',
  };
}
