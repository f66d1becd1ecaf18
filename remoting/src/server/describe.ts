import {
  DeviceFlag,
  OPS,
  OpFlag,
  singleOp,
  type Device,
  type OfferedOp,
} from '@axle/core/internal';

import type { Frame } from '../wire/frames.js';
import type { Front } from './front.js';

/** Room for every device that a server may have. */
const deviceBitBytes = 32;

/** Answers DESCRIBE: the devices, and what they offer. */
export function describe(front: Front, id: number): void {
  const { registry } = front.runtime;
  registry.devices.forEach((device, index) => {
    front.send(deviceFrame(id, device, index));
  });
  for (const { ops, devices } of registry.all) {
    const bits = deviceBits(front, devices);
    for (const op of ops) sendOp(front, id, op, bits);
  }
  describeClassify(front, id);
  front.answer({ type: 'DONE', id }, [], false);
}

/**
 * All of classify in one call, on devices that run the model: this side plans the rest, by a device that fuses it or by
 * several.
 */
function describeClassify(front: Front, id: number): void {
  const { registry } = front.runtime;
  const { id: op, version, chain = [], flags } = OPS.classify;
  const last = chain.length - 1;
  const devices = registry.candidates(singleOp('infer')).map(({ device }) => device);
  const isThere = registry.all.some(({ ops }) =>
    ops.some((each) => each.op === op && each.first === 0 && each.last === last),
  );
  if (isThere || devices.length === 0) return;
  const whole = { name: '', op, version, first: 0, last, flags, batchMax: 0 };
  // Others' images are no part of it: batches are made here.
  sendOp(front, id, { ...whole, flags: flags & ~OpFlag.BATCHABLE }, deviceBits(front, devices));
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
