import { performance } from 'node:perf_hooks';

import {
  DeviceFlag,
  internalized,
  type AxleError,
  type CustomOpSpec,
  type Device,
  type Health,
  type OfferedOp,
  type OpRange,
} from '@axle/core/internal';

import { decodeFrame } from '../wire/decode-frame.js';
import type { ArgSpecFrame, DeviceFrame, Frame, OpFrame, TensorSpecFrame } from '../wire/frames.js';
import type { RawFrame } from '../wire/frame-splitter.js';
import { fromWireUs } from '../wire/time.js';
import type { PendingAnswer } from './pending-answer.js';

type OpPart = ArgSpecFrame | TensorSpecFrame;

interface DescribedOp {
  readonly frame: OpFrame;
  readonly parts: OpPart[];
}

/** How long a server said that a new task would wait for one of its devices. */
export interface ToldWait {
  readonly waitMs: number;
  /** When it said so, on the clock of `performance`. */
  readonly toldAt: number;
}

/** What core calls the devices of a server. */
export interface DeviceNaming {
  /** In front of what the server calls them. */
  readonly prefix: string;
  /** That all are devices of; undefined: those that the server says, with the prefix. */
  readonly backend?: string;
}

interface DeviceState extends Health, ToldWait {}

const unknown: DeviceState = { state: 'OK', message: '', waitMs: 0, toldAt: 0 };

/** What a server says of its devices, from the answer to DESCRIBE with WATCH. */
export class Description implements PendingAnswer {
  private readonly devices: DeviceFrame[] = [];
  private readonly ops: DescribedOp[] = [];
  private readonly states = new Map<number, DeviceState>();

  /** It is watched: what changes is told under the same handle. */
  readonly stays = true;

  /** @param done is called once: with nothing when all is there. */
  constructor(private readonly done: (error: AxleError | undefined) => void) {}

  onFrame(raw: RawFrame): boolean {
    const frame: Frame = decodeFrame(raw);
    if (frame.type === 'DEVICE') {
      this.devices.push(frame);
      this.states.set(frame.index, stateOf(frame.health, frame));
    }
    if (frame.type === 'OP') this.ops.push({ frame, parts: [] });
    else if (frame.type === 'ARG_SPEC' || frame.type === 'TENSOR_SPEC') {
      this.ops.at(-1)?.parts.push(frame);
    } else if (frame.type === 'HEALTH') this.states.set(frame.device, stateOf(frame.state, frame));
    if (frame.type !== 'DONE') return false;
    this.done(undefined);
    return true;
  }

  onFailed(error: AxleError): void {
    this.done(error);
  }

  readDevices({ prefix, backend }: DeviceNaming): Device[] {
    return this.devices.map((frame, index) => ({
      id: `${prefix}${frame.device}`,
      backend: backend ?? `${prefix}${frame.backend}`,
      index,
      name: frame.name,
      version: frame.backendVersion,
      kind: frame.kind,
      emulated: (frame.deviceFlags & DeviceFlag.EMULATED) !== 0,
      memoryBytes: frame.memoryBytes,
      parallel: frame.parallel,
    }));
  }

  readOps(): OfferedOp[] {
    return this.ops.map(({ frame, parts }) => ({
      name: frame.name,
      op: frame.op,
      version: frame.opVersion,
      first: frame.first,
      last: frame.last,
      flags: frame.opFlags,
      batchMax: frame.batchMax,
      ...(frame.name === '' ? {} : { spec: specOf(frame, parts) }),
    }));
  }

  /** Whether it has all devices that another description has, with all that they offer. */
  covers(other: Description): boolean {
    const own = new Set(this.facts());
    return other.facts().every((fact) => own.has(fact));
  }

  /** Of a device that the server calls so, as it said last. */
  healthOf(device: string): Health {
    const index = this.devices.findIndex((frame) => frame.device === device);
    if (index < 0) return { state: 'LOST', message: 'the server does not have it any more' };
    const { state, message } = this.states.get(index) ?? unknown;
    return { state, message };
  }

  /** How long a new task would wait for a device that the server calls so, as it said last. */
  waitOf(device: string): ToldWait {
    const index = this.devices.findIndex((frame) => frame.device === device);
    return this.states.get(index) ?? unknown;
  }

  /** The same of a device by its index in this description. */
  waitAt(index: number): ToldWait {
    return this.states.get(index) ?? unknown;
  }

  isLostAt(index: number): boolean {
    return this.states.get(index)?.state === 'LOST';
  }

  /** What the server calls a device. */
  deviceName({ index }: Device): string {
    return this.devices[index]?.device ?? '';
  }

  offers({ index }: Device, range: OpRange): boolean {
    return this.ops.some(({ frame }) => {
      const same =
        frame.name === range.name &&
        (frame.name !== '' || frame.op === range.op) &&
        frame.opVersion === range.version &&
        frame.first === range.first &&
        frame.last === range.last;
      return same && hasDevice(frame, index);
    });
  }

  private facts(): string[] {
    return this.devices.flatMap(({ device }, index) => {
      const offered = this.ops.filter(({ frame }) => hasDevice(frame, index));
      const names = offered.map(
        ({ frame: { name, op, opVersion, first, last } }) =>
          `${device} ${name}${op}.${opVersion}.${first}.${last}`,
      );
      return [device, ...names];
    });
  }
}

function hasDevice({ devices }: OpFrame, index: number): boolean {
  return ((devices[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
}

function stateOf(
  state: Health['state'],
  { message, waitUs }: { readonly message: string; readonly waitUs: number },
): DeviceState {
  return { state, message, waitMs: fromWireUs(waitUs), toldAt: performance.now() };
}

function specOf({ doc }: OpFrame, parts: readonly OpPart[]): CustomOpSpec {
  const tensors = (role: TensorSpecFrame['role']) =>
    parts.flatMap((part) => {
      if (part.type !== 'TENSOR_SPEC' || part.role !== role) return [];
      const { dtype, shape, anyRank } = part;
      const name = internalized(part.name);
      return [anyRank ? { name, dtype, shape, anyRank } : { name, dtype, shape }];
    });
  const args = parts.flatMap((part) => {
    if (part.type !== 'ARG_SPEC') return [];
    const { name, argType, doc: its, required } = part;
    return [{ name, type: argType, doc: its, required }];
  });
  return { doc, args, inputs: tensors('INPUT'), outputs: tensors('OUTPUT') };
}
