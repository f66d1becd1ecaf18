import { ArgType, DataType, DeviceKind, ErrorCode } from '@axle/core';

import {
  BindFlag,
  CallFlag,
  Credential,
  DescribeFlag,
  ErrorFlag,
  LoadFlag,
  ModelFlag,
  NeedFlag,
  PublishFlag,
  SpecRole,
  TensorSpecFlag,
  WireErrorId,
  wireLimits,
  type WireErrorIdName,
} from '../generated/wire.js';
import type { BareFrame, BindFrame, Frame, GoawayFrame, HelloFrame, ModelFrame } from './frames.js';
import {
  blob,
  bool8,
  choice,
  count,
  deviceIndex,
  healthState,
  magic,
  message,
  name,
  priority,
  raw,
  u16,
  u32,
  u64,
  zero,
  type Field,
  type Layout,
  type LayoutOf,
} from './layout.js';
import {
  rangesRise,
  readArg,
  readInputName,
  readRange,
  readSpecDim,
  writeArg,
  writeInputName,
  writeRange,
  writeSpecDim,
} from './records.js';
import { readTrace, writeTrace } from './trace-and-place.js';

const limits = wireLimits;

/** Frames whose reading and writing is not worth code of its own: calls, results and data have that. */
export type LaidOutType = Exclude<Frame['type'], 'CALL' | 'RESULT' | 'PUT' | 'DATA'>;

const versions = [u16('version', 1), u16('versionMin', 1), u16('versionMax', 1)];
const windows = [
  u32('payloadMax', limits.payloadBytesMin, limits.payloadBytesMax),
  u32('streamWindow', limits.payloadBytesMin, limits.windowMax),
  u32('connectionWindow', limits.payloadBytesMin, limits.windowMax),
];
const deadlineAndPriority = [u32('deadlineUs'), priority()];
const handle = (key: string): Field => u64(key, 1);
const errorCode = (): Field => choice('u16', 'code', ErrorCode, 'UNKNOWN');
const arena = (min = 0): Field => u32('arena', min, limits.arenasMax);
const bare: Layout<BareFrame> = { fields: [] };
const trace = { key: 'trace', flag: CallFlag.TRACE, read: readTrace, write: writeTrace };

export const layouts: { readonly [T in LaidOutType]: LayoutOf<T> } = {
  HELLO: {
    fields: [
      magic(),
      ...versions,
      choice('u8', 'credential', Credential),
      zero(1),
      u64('features'),
      raw('nonce', 16),
      ...windows,
      name('tenant'),
      blob('token', limits.tokenBytesMax),
      name('agent'),
      zero(6),
    ],
    check: (frame) => {
      if (frame.version < frame.versionMin || frame.version > frame.versionMax) return 'BAD_VALUE';
      if (frame.credential === 'NONE' && frame.token.byteLength > 0) return 'BAD_VALUE';
      return windowProblem(frame);
    },
  },
  WELCOME: {
    fields: [
      magic(),
      ...versions,
      zero(2),
      u64('features'),
      raw('instance', 16),
      ...windows,
      u32('callsMax', 1),
      u32('handlesMax', 1),
      u32('idleMs'),
      u64('requestBytesMax'),
      u64('modelBytesMax'),
      u64('lastHandle'),
      u32('resumeMs'),
      name('tenant'),
      name('agent'),
    ],
    check: (frame) => {
      if (frame.version < frame.versionMin || frame.version > frame.versionMax) return 'BAD_VALUE';
      const { payloadMax, streamWindow, connectionWindow } = frame;
      const grants =
        payloadMax === limits.payloadBytesMax &&
        streamWindow >= limits.serverStreamWindowMin &&
        connectionWindow >= limits.serverConnectionWindowMin;
      return grants ? undefined : 'BAD_VALUE';
    },
  },
  GOAWAY: {
    fields: [
      errorCode(),
      u16('wireError'),
      u16('versionMin'),
      u16('versionMax'),
      u64('last'),
      u32('graceMs'),
      name('alternate', limits.endpointBytesMax),
      message('message'),
    ],
    check: ({ versionMin, versionMax }: GoawayFrame) =>
      versionMin > versionMax || (versionMin === 0 && versionMax !== 0) ? 'BAD_VALUE' : undefined,
  },
  PING: bare,
  PONG: bare,
  CREDIT: { fields: [u64('bytes', 1, limits.windowMax)] },
  CANCEL: bare,
  ACK: bare,
  HEALTH: {
    fields: [
      u16('device', 0, limits.devicesMax - 1),
      healthState('state'),
      zero(1),
      u32('waitUs'),
      message('message'),
      zero(6),
    ],
  },

  BIND: {
    fields: [
      u32('op'),
      u32('opVersion', 1),
      u16('first'),
      u16('last'),
      name('opName'),
      name('device'),
      u64('model'),
      u64('outputBytesMax'),
      count('u16', 'args', limits.argsMax),
      count('u16', 'inputNames', limits.tensorsMax),
      zero(4),
    ],
    flags: camelCase(BindFlag),
    records: [
      { key: 'args', read: readArg, write: writeArg },
      { key: 'inputNames', read: readInputName, write: writeInputName },
    ],
    check: ({ op, opName, first, last, strict, device }: BindFrame) => {
      if ((op === 0) === (opName === '') || first > last) return 'BAD_VALUE';
      return strict && device === '' ? 'BAD_VALUE' : undefined;
    },
  },
  STREAM: {
    fields: [handle('binding'), ...deadlineAndPriority, zero(3)],
    records: [trace],
  },
  MODEL: {
    fields: [
      raw('contentId', 32),
      u64('bytes'),
      u32('manifestBytes', 0, limits.manifestBytesMax),
      name('name'),
      name('format'),
      name('entry', limits.fileNameBytesMax),
      zero(6),
    ],
    flags: camelCase(ModelFlag),
    check: modelProblem,
  },
  LOAD: {
    fields: [handle('model'), ...deadlineAndPriority, zero(1), name('device')],
    flags: camelCase(LoadFlag),
    check: ({ strict, device }) => (strict && device === '' ? 'BAD_VALUE' : undefined),
  },
  PUBLISH: {
    fields: [handle('model'), name('name'), name('version'), zero(4)],
    flags: camelCase(PublishFlag),
    check: needsName,
  },
  REMOVE: { fields: [name('name'), name('version'), zero(4)], check: needsName },
  LIST: bare,
  DESCRIBE: { fields: [], flags: camelCase(DescribeFlag) },
  READ: { fields: [handle('model'), name('file', limits.fileNameBytesMax), zero(6)] },
  RELEASE: bare,

  ERROR: {
    fields: [
      errorCode(),
      deviceIndex(),
      u32('retryAfterUs'),
      u64('cause'),
      message('message'),
      message('detail'),
      zero(4),
    ],
    flags: camelCase(ErrorFlag),
    check: ({ code, retryable, outcomeUnknown }) =>
      code === 'OK' || (retryable && outcomeUnknown) ? 'BAD_VALUE' : undefined,
  },
  DONE: bare,
  BOUND: { fields: [u32('score', 1), u32('opFlags'), deviceIndex(), zero(6)] },
  LOADED: {
    fields: [
      u64('memoryBytes'),
      deviceIndex(),
      u16('inputCount', 0, limits.tensorsMax),
      u16('outputCount', 0, limits.tensorsMax),
      zero(2),
    ],
  },
  NEED: {
    fields: [count('u16', 'ranges', limits.rangesMax), zero(6)],
    flags: camelCase(NeedFlag),
    records: [{ key: 'ranges', read: readRange, write: writeRange }],
    check: ({ manifest, ranges }) => {
      if (manifest === ranges.length > 0) return 'BAD_VALUE';
      return rangesRise(ranges) ? undefined : 'BAD_ORDER';
    },
  },
  DEVICE: {
    fields: [
      u16('index', 0, limits.devicesMax - 1),
      choice('u8', 'kind', DeviceKind),
      healthState('health'),
      u32('deviceFlags'),
      u64('memoryBytes'),
      u32('parallel', 1),
      u32('waitUs'),
      name('device'),
      message('name'),
      name('backend'),
      name('backendVersion'),
      message('message'),
      zero(6),
    ],
  },
  OP: {
    fields: [
      u32('op'),
      u32('opVersion', 1),
      u16('first'),
      u16('last'),
      u32('opFlags'),
      u32('batchMax'),
      u16('argCount', 0, limits.argsMax),
      u16('inputCount', 0, limits.tensorsMax),
      u16('outputCount', 0, limits.tensorsMax),
      name('name'),
      message('doc'),
      zero(2),
      raw('devices', limits.devicesMax / 8),
    ],
    check: (frame) =>
      (frame.op === 0) === (frame.name === '') || frame.first > frame.last
        ? 'BAD_VALUE'
        : undefined,
  },
  ARG_SPEC: {
    fields: [
      choice('u8', 'argType', ArgType),
      bool8('required'),
      u16('index', 0, limits.argsMax - 1),
      name('name'),
      message('doc'),
    ],
  },
  TENSOR_SPEC: {
    fields: [
      choice('u8', 'role', SpecRole),
      choice('u8', 'dtype', DataType),
      count('u8', 'shape', limits.rankMax),
      zero(1),
      u16('index', 0, limits.tensorsMax - 1),
      name('name'),
    ],
    flags: camelCase(TensorSpecFlag),
    records: [{ key: 'shape', read: readSpecDim, write: writeSpecDim }],
    check: ({ anyRank, shape }) => (anyRank && shape.length > 0 ? 'BAD_VALUE' : undefined),
  },
  MODEL_ENTRY: {
    fields: [
      raw('contentId', 32),
      u64('bytes'),
      u32('batchMax'),
      u32('labels'),
      name('name'),
      name('version'),
      name('format'),
      message('problem'),
      u16('inputCount', 0, limits.tensorsMax),
      u16('outputCount', 0, limits.tensorsMax),
      zero(4),
    ],
  },

  ARENA: { fields: [arena(1), zero(4), u64('bytes', 1), raw('ticket', 16)] },
  ARENA_READY: { fields: [arena(1), zero(4)] },
  ATTACH: { fields: [magic(), raw('ticket', 16)] },
  ATTACHED: { fields: [arena(1), zero(4), u64('bytes', 1)] },
  USED: { fields: [u16('device', 0, limits.devicesMax - 1), zero(2), u32('usedUs')] },
};

/** Flags by the names that frames have for them. TRACE and PLACE are no booleans, but are there or not. */
export function camelCase(flags: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(flags).map(([flag, bit]) => [
      flag.toLowerCase().replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      bit,
    ]),
  );
}

function windowProblem(frame: HelloFrame): WireErrorIdName | undefined {
  const { payloadMax, streamWindow, connectionWindow } = frame;
  const fits =
    payloadMax % 8 === 0 && streamWindow >= payloadMax && connectionWindow >= 4 * payloadMax;
  return fits ? undefined : 'BAD_VALUE';
}

function modelProblem(frame: ModelFrame): WireErrorIdName | undefined {
  const { manifest, content, named, manifestBytes, bytes, format, entry, contentId } = frame;
  if (content && !manifest) return 'BAD_VALUE';
  if (!named) return manifestBytes === 0 || entry === '' || format === '' ? 'BAD_VALUE' : undefined;
  const tellsContent = manifest || manifestBytes > 0 || bytes > 0 || format !== '' || entry !== '';
  const hasId = contentId.some((byte) => byte !== 0);
  return tellsContent || hasId || frame.name === '' ? 'BAD_VALUE' : undefined;
}

function needsName(frame: { readonly name: string }): WireErrorIdName | undefined {
  return frame.name === '' ? 'BAD_VALUE' : undefined;
}

/** Numbers that a wire error of a GOAWAY may have. */
export const wireErrorNameById: ReadonlyMap<number, WireErrorIdName> = new Map(
  (Object.keys(WireErrorId) as WireErrorIdName[]).map((each) => [WireErrorId[each], each]),
);
