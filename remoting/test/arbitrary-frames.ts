import { DATA_TYPE_BYTES, DataType, ErrorCode, type DataTypeName } from '@axle/core';
import fc from 'fast-check';

import { wireLimits } from '../src/generated/wire.js';
import type { Frame } from '../src/wire/frames.js';
import type { Field, Layout } from '../src/wire/layout.js';
import { layouts, type LaidOutType } from '../src/wire/layouts.js';
import { cleanMessage, isCleanName } from '../src/wire/text.js';

// Any frame that may be sent, made of the same tables that the codec goes by.

const number = (min = 0, max: number = wireLimits.handleMax): fc.Arbitrary<number> =>
  fc.oneof(fc.integer({ min, max: Math.min(max, min + 300) }), fc.integer({ min, max }));

const names = (max: number, min = 0): fc.Arbitrary<string> =>
  fc
    .string({ unit: 'binary', maxLength: 20 })
    .filter((text) => isCleanName(text) && text.length >= min)
    .map((text) => cleanMessage(text, max));

const messages = (max: number): fc.Arbitrary<string> =>
  fc.string({ unit: 'binary', maxLength: 40 }).map((text) => cleanMessage(text, max));

const raw = (bytes: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes });

const device = fc.oneof(number(0, wireLimits.devicesMax - 1), fc.constant(0xffff));
const dtype = fc.constantFrom(...(Object.keys(DataType) as DataTypeName[]));

const args = fc.oneof(
  fc.record({ name: names(127, 1), type: fc.constant('BOOL'), value: fc.boolean() }),
  fc.record({ name: names(127, 1), type: fc.constant('INT'), value: fc.maxSafeInteger() }),
  fc.record({ name: names(127, 1), type: fc.constant('FLOAT'), value: fc.double({ noNaN: true }) }),
  fc.record({ name: names(127, 1), type: fc.constant('STRING'), value: messages(999) }),
  fc.record({ name: names(127, 1), type: fc.constant('BYTES'), value: fc.uint8Array() }),
);

const ranges = fc.array(fc.tuple(number(0, 1e6), number(1, 1e6)), { maxLength: 20 }).map((gaps) => {
  let end = 0;
  return gaps.map(([gap, bytes]) => {
    const offset = end + gap;
    end = offset + bytes;
    return { offset, bytes };
  });
});

const recordsOf: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  args: fc.array(args, { maxLength: 6 }),
  inputNames: fc.array(names(127, 1), { maxLength: 6 }),
  ranges,
  shape: fc.array(number(-1), { maxLength: wireLimits.rankMax }),
};

const trace = fc.record({
  traceId: raw(16).filter((id) => id.some((byte) => byte !== 0)),
  parentId: raw(8).filter((id) => id.some((byte) => byte !== 0)),
  traceFlags: number(0, 255),
});

function arbitraryField({ key, range }: Field): fc.Arbitrary<unknown> {
  switch (range.kind) {
    case 'nothing':
      return fc.constant(undefined);
    case 'boolean':
      return fc.boolean();
    case 'number':
      return number(range.min, range.max);
    case 'device':
      return device;
    case 'choice':
      return fc.constantFrom(...range.names);
    case 'raw':
      return raw(range.bytes);
    case 'blob':
      return fc.uint8Array({ maxLength: 50 });
    case 'name':
      return names(range.max);
    case 'message':
      return messages(range.max);
    case 'records':
      return recordsOf[key] ?? fc.constant([]);
  }
}

function arbitraryByLayout(type: LaidOutType): fc.Arbitrary<Frame> {
  const layout = layouts[type] as unknown as Layout;
  const fields: Record<string, fc.Arbitrary<unknown>> = { type: fc.constant(type), id: number(1) };
  if (needsZeroId.has(type)) fields['id'] = fc.constant(0);
  for (const flag of Object.keys(layout.flags ?? {})) fields[flag] = fc.boolean();
  for (const field of layout.fields) {
    if (field.key !== '') fields[field.key] = arbitraryField(field);
  }
  for (const { key, flag } of layout.records ?? []) {
    if (flag !== undefined) fields[key] = fc.option(trace, { nil: undefined });
  }
  return fc.record(fields).map((frame) => mended(frame as unknown as Frame));
}

const needsZeroId = new Set<string>([
  ...['HELLO', 'WELCOME', 'GOAWAY', 'ARENA', 'ARENA_READY', 'ATTACH', 'ATTACHED', 'USED'],
]);

/** Gives fields that depend on each other values that go together. */
function mended(frame: Frame): Frame {
  switch (frame.type) {
    case 'HELLO': {
      const payloadMax = frame.payloadMax - (frame.payloadMax % 8);
      const isToken = frame.credential === 'TOKEN';
      return {
        ...frame,
        payloadMax,
        versionMin: 1,
        versionMax: 0xffff,
        streamWindow: Math.max(frame.streamWindow, payloadMax),
        connectionWindow: Math.max(frame.connectionWindow, 4 * payloadMax),
        token: isToken ? frame.token : new Uint8Array(),
      };
    }
    case 'WELCOME': {
      const { serverStreamWindowMin, serverConnectionWindowMin, payloadBytesMax } = wireLimits;
      return {
        ...frame,
        versionMin: 1,
        versionMax: 0xffff,
        payloadMax: payloadBytesMax,
        streamWindow: Math.max(frame.streamWindow, serverStreamWindowMin),
        connectionWindow: Math.max(frame.connectionWindow, serverConnectionWindowMin),
      };
    }
    case 'GOAWAY':
      return { ...frame, versionMin: 0, versionMax: 0 };
    case 'BIND':
    case 'OP': {
      const first = Math.min(frame.first, frame.last);
      const last = Math.max(frame.first, frame.last);
      const op = Math.max(frame.op, 1);
      if (frame.type === 'OP') {
        return frame.name === '' ? { ...frame, first, last, op } : { ...frame, first, last, op: 0 };
      }
      const strict = frame.strict && frame.device !== '';
      return { ...frame, first, last, strict, op: frame.opName === '' ? op : 0 };
    }
    case 'LOAD':
      return { ...frame, strict: frame.strict && frame.device !== '' };
    case 'MODEL': {
      if (frame.named) {
        return {
          ...frame,
          ...{ manifest: false, content: false, contentId: new Uint8Array(32), bytes: 0 },
          ...{ manifestBytes: 0, format: '', entry: '', name: 'm' },
        };
      }
      const content = frame.content && frame.manifest;
      const manifestBytes = Math.max(1, frame.manifestBytes);
      return { ...frame, content, manifestBytes, format: 'onnx', entry: 'model.onnx' };
    }
    case 'PUBLISH':
    case 'REMOVE':
      return { ...frame, name: frame.name === '' ? 'm' : frame.name };
    case 'ERROR':
      return {
        ...frame,
        code: frame.code === 'OK' ? 'UNKNOWN' : frame.code,
        outcomeUnknown: frame.outcomeUnknown && !frame.retryable,
      };
    case 'NEED':
      return { ...frame, manifest: frame.ranges.length === 0 };
    case 'TENSOR_SPEC':
      return { ...frame, anyRank: frame.anyRank && frame.shape.length === 0 };
    default:
      return frame;
  }
}

const head = fc
  .record({ dtype, shape: fc.array(fc.nat(6), { maxLength: 3 }), slot: fc.constant(0) })
  .map((tensor) => ({
    ...tensor,
    bytes: tensor.shape.reduce((a, b) => a * b, DATA_TYPE_BYTES[tensor.dtype]),
  }));

const outputName = names(127);

/** @param isOutput otherwise it has no name */
function tensor(isOutput: boolean): fc.Arbitrary<Record<string, unknown>> {
  const name = isOutput ? outputName : fc.constant('');
  const inline = fc.tuple(head, name, fc.uint8Array({ maxLength: 20 })).map(([each, text, any]) => {
    const { bytes, ...rest } = each;
    const data = each.dtype === 'BYTES' ? any : new Uint8Array(bytes).fill(7);
    return { ...rest, source: 'INLINE', name: text, data };
  });
  const follows = fc.tuple(head, name).map(([each, text]) => {
    const shape = each.shape.map((size) => size + 1);
    const bytes = shape.reduce((a, b) => a * b, DATA_TYPE_BYTES[each.dtype] || 1);
    return { ...each, shape, bytes, source: 'FOLLOWS', name: text };
  });
  const shared = fc
    .tuple(head, name, number(0, wireLimits.arenasMax), number())
    .map(([each, text, arena, offset]) => ({
      ...each,
      source: 'SHARED',
      name: text,
      arena,
      offset,
    }));
  const handle = fc.record({
    source: fc.constant('HANDLE'),
    slot: fc.constant(0),
    handle: number(1),
    output: number(0, 255),
  });
  const omitted = fc
    .tuple(head, name)
    .map(([each, text]) => ({ ...each, source: 'OMITTED', name: text }));
  return isOutput
    ? fc.oneof(inline, follows, shared, omitted)
    : fc.oneof(inline, follows, shared, handle);
}

const tensors = (isOutput: boolean): fc.Arbitrary<unknown> =>
  fc
    .array(fc.tuple(tensor(isOutput), fc.nat(9)), { maxLength: 8 })
    .map((all) => all.map(([each, gap], i) => ({ ...each, slot: i * 10 + gap })));

const priority = fc.integer({ min: -100, max: 100 });
const us = number(0, 0xffff_ffff);
const batchSize = number(1, 0xffff);

const calls = fc.record({
  type: fc.constant('CALL'),
  id: number(1),
  keep: fc.boolean(),
  omit: fc.boolean(),
  replay: fc.boolean(),
  binding: number(1),
  deadlineUs: us,
  priority,
  place: fc.option(
    fc.record({ arena: number(0, wireLimits.arenasMax), offset: number(), bytes: number() }),
    { nil: undefined },
  ),
  trace: fc.option(trace, { nil: undefined }),
  inputs: tensors(false),
});

const results = fc.record({
  type: fc.constant('RESULT'),
  id: number(1),
  ...{ queueUs: us, transferUs: us, computeUs: us, totalUs: us, batchSize, device },
  outputs: tensors(true),
  steps: fc.array(
    fc
      .record({
        ...{ first: number(0, 255), last: number(0, 255), batchSize, device },
        ...{ queueUs: us, transferUs: us, computeUs: us },
      })
      .map((step) => ({ ...step, first: Math.min(step.first, step.last) })),
    { maxLength: 4 },
  ),
  fallbacks: fc.array(
    fc.record({
      code: fc.constantFrom(...Object.keys(ErrorCode).filter((code) => code !== 'OK')),
      device,
      message: messages(1023),
    }),
    { maxLength: 4 },
  ),
});

const puts = fc.record({
  type: fc.constant('PUT'),
  id: number(1),
  tensor: tensor(false).filter(({ source }) => source !== 'HANDLE'),
});

const datas = fc
  .record({
    type: fc.constant('DATA'),
    id: number(1),
    end: fc.boolean(),
    data: fc.oneof(fc.uint8Array({ maxLength: 30 }), raw(20_000), raw(65_536)),
  })
  .map((frame) => ({ ...frame, end: frame.end || frame.data.byteLength === 0 }));

const laidOut = (Object.keys(layouts) as LaidOutType[]).map(arbitraryByLayout);

export const arbitraryFrame = fc.oneof(
  ...laidOut,
  ...([calls, results, puts, datas] as unknown as fc.Arbitrary<Frame>[]),
);
