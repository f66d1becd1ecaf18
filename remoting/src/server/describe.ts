import {
  DeviceFlag,
  OPS,
  OpFlag,
  singleOp,
  type AxleError,
  type Backend,
  type Device,
  type OfferedOp,
} from '@axle/core/internal';

import type { DescribeFrame, Frame } from '../wire/frames.js';
import type { DeviceState } from './device-watch.js';
import type { Front } from './front.js';
import { Held } from './held.js';

/** Room for every device that a server may have. */
const deviceBitBytes = 32;

/** A DESCRIBE: the devices, what they offer, and with WATCH how they are whenever that changes. */
export class Describing extends Held {
  private isClosed = false;
  private stopListening: (() => void) | undefined = undefined;

  private constructor(
    private readonly front: Front,
    readonly id: number,
    private readonly watches: boolean,
  ) {
    super();
  }

  /** Answers DESCRIBE. */
  static begin(front: Front, { id, watch }: DescribeFrame): void {
    const describing = new Describing(front, id, watch);
    front.hold(id, describing);
    void front.watch.refresh().then(() => {
      if (!describing.isAnswered) describing.answer();
    });
  }

  override cancel(reason: AxleError): void {
    this.front.fail(this.id, reason);
  }

  override close(): void {
    this.isClosed = true;
    this.stopListening?.();
  }

  private answer(): void {
    const { front, id, watches } = this;
    const { registry } = front.runtime;
    registry.devices.forEach((device, index) => {
      const { version } = registry.backendOf(device);
      front.send(deviceFrame(id, device, index, version, front.watch.of(device, front.share)));
    });
    for (const backend of registry.all) {
      for (const op of backend.ops) {
        if (registry.isRefused(backend, op)) continue;
        sendOp(front, id, op, deviceBits(front, devicesOf(backend, op)));
      }
    }
    describeClassify(front, id);
    if (watches && !this.isReleased && !this.isClosed) {
      this.stopListening = front.watch.listen((device, state) => {
        front.send({ type: 'HEALTH', id, device, ...state });
      }, front.share);
    }
    front.answer({ type: 'DONE', id }, [], watches);
  }
}

/**
 * All of classify in one call, on devices that run the model: this side plans the rest, by a device that fuses it or by
 * several.
 */
function describeClassify(front: Front, id: number): void {
  const { registry } = front.runtime;
  const { id: op, version, chain = [], flags } = OPS.classify;
  const last = chain.length - 1;
  const devices = registry
    .candidates(singleOp('infer'))
    .filter(({ backend, device, offered }) => backend.offers?.(device, offered) ?? true)
    .map(({ device }) => device);
  const isThere = registry.all.some(({ ops }) =>
    ops.some((each) => each.op === op && each.first === 0 && each.last === last),
  );
  if (isThere || devices.length === 0) return;
  const whole = { name: '', op, version, first: 0, last, flags, batchMax: 0 };
  // Others' images are no part of it: batches are made here.
  sendOp(front, id, { ...whole, flags: flags & ~OpFlag.BATCHABLE }, deviceBits(front, devices));
}

/** Not all devices of a backend offer all of its ops. */
function devicesOf(backend: Backend, op: OfferedOp): readonly Device[] {
  return backend.devices.filter((device) => backend.offers?.(device, op) ?? true);
}

function deviceBits(front: Front, devices: readonly Device[]): Uint8Array {
  const bits = new Uint8Array(deviceBitBytes);
  for (const { id } of devices) {
    const index = front.deviceIndexOf(id);
    bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
  }
  return bits;
}

function sendOp(front: Front, id: number, op: OfferedOp, devices: Uint8Array): void {
  const { spec } = op;
  front.send({
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
    devices,
  });
  spec?.args.forEach(({ type, required, name, doc }, index) => {
    front.send({ type: 'ARG_SPEC', id, argType: type, required, index, name, doc });
  });
  for (const role of ['INPUT', 'OUTPUT'] as const) {
    const tensors = (role === 'INPUT' ? spec?.inputs : spec?.outputs) ?? [];
    tensors.forEach(({ name, dtype, shape, anyRank = false }, index) => {
      front.send({ type: 'TENSOR_SPEC', id, role, dtype, index, name, shape, anyRank });
    });
  }
}

function deviceFrame(
  id: number,
  device: Device,
  index: number,
  backendVersion: string,
  { state, waitUs, message }: DeviceState,
): Frame {
  return {
    type: 'DEVICE',
    id,
    index,
    kind: device.kind,
    health: state,
    deviceFlags: device.emulated ? DeviceFlag.EMULATED : 0,
    memoryBytes: device.memoryBytes,
    parallel: device.parallel,
    waitUs,
    device: device.id,
    name: device.name,
    backend: device.backend,
    backendVersion,
    message,
  };
}
