import { CallFlag, DataFlag, wireLimits } from '../generated/wire.js';
import type {
  CallFrame,
  DataFrame,
  Frame,
  InputTensor,
  OutputTensor,
  PutFrame,
  ResultFrame,
  WireFallback,
  WireStep,
  WireTensor,
} from './frames.js';
import type { RawFrame } from './frame-splitter.js';
import { isDeviceIndex, readFields, type Fields, type Layout } from './layout.js';
import { layouts } from './layouts.js';
import { PayloadReader } from './payload-reader.js';
import { readFallback, readStep } from './records.js';
import { allowsSource, readTensor } from './tensors.js';
import { readPlace, readTrace } from './trace-and-place.js';

/**
 * What a frame says. Bytes in it (data, tokens, ids) are views of the memory that the frame lies in.
 *
 * @throws WireError for whatever the frame's form does not allow.
 */
export function decodeFrame(raw: RawFrame): Frame {
  const { type } = raw;
  switch (type) {
    case 'CALL':
      return decodeCall(raw);
    case 'RESULT':
      return decodeResult(raw);
    case 'DATA':
      return decodeData(raw);
    case 'PUT':
      return decodePut(raw);
    default:
      return decodeByLayout(raw, layouts[type] as unknown as Layout);
  }
}

/** Decoding never waits, so one will do. */
const sharedReader = new PayloadReader();

function readerOf({ type, memory, view, start, end }: RawFrame): PayloadReader {
  sharedReader.begin(type, memory, view, start, end);
  return sharedReader;
}

export function decodeCall(raw: RawFrame): CallFrame {
  const reader = readerOf(raw);
  const { flags, id } = raw;
  const binding = reader.u64('binding');
  if (binding === 0) reader.fail('BAD_VALUE', 'binding');
  const deadlineUs = reader.u32();
  const priority = reader.i8();
  if (Math.abs(priority) > wireLimits.priorityMax) reader.fail('BAD_VALUE', 'priority');
  reader.zero(1);
  const count = reader.u16();
  const place = (flags & CallFlag.PLACE) === 0 ? undefined : readPlace(reader);
  const trace = (flags & CallFlag.TRACE) === 0 ? undefined : readTrace(reader);
  const inputs = readTensors(reader, count, false) as readonly InputTensor[];
  reader.finish();
  return {
    type: 'CALL',
    id,
    keep: (flags & CallFlag.KEEP) !== 0,
    omit: (flags & CallFlag.OMIT) !== 0,
    replay: (flags & CallFlag.REPLAY) !== 0,
    binding,
    deadlineUs,
    priority,
    place,
    trace,
    inputs,
  };
}

const noSteps: readonly WireStep[] = [];
const noFallbacks: readonly WireFallback[] = [];

export function decodeResult(raw: RawFrame): ResultFrame {
  const reader = readerOf(raw);
  const queueUs = reader.u32();
  const transferUs = reader.u32();
  const computeUs = reader.u32();
  const totalUs = reader.u32();
  const batchSize = reader.u16();
  const device = reader.u16();
  const outputCount = reader.u16();
  const stepCount = reader.u8();
  const fallbackCount = reader.u8();
  if (batchSize === 0) reader.fail('BAD_VALUE', 'batchSize');
  if (!isDeviceIndex(device)) reader.fail('BAD_VALUE', 'device');
  if (stepCount > wireLimits.stepsMax) reader.fail('TOO_MANY', 'steps');
  if (fallbackCount > wireLimits.fallbacksMax) reader.fail('TOO_MANY', 'fallbacks');
  const outputs = readTensors(reader, outputCount, true) as readonly OutputTensor[];
  const steps = stepCount === 0 ? noSteps : repeat(stepCount, () => readStep(reader));
  const fallbacks =
    fallbackCount === 0 ? noFallbacks : repeat(fallbackCount, () => readFallback(reader));
  reader.finish();
  return {
    type: 'RESULT',
    id: raw.id,
    queueUs,
    transferUs,
    computeUs,
    totalUs,
    batchSize,
    device,
    outputs,
    steps,
    fallbacks,
  };
}

export function decodeData(raw: RawFrame): DataFrame {
  const { id, flags, padding, start, end } = raw;
  const reader = readerOf(raw);
  const data = reader.raw(end - padding - start);
  reader.zero(padding);
  const isLast = (flags & DataFlag.END) !== 0;
  if (data.byteLength === 0 && !isLast) reader.fail('EMPTY_DATA');
  return { type: 'DATA', id, end: isLast, data };
}

function decodePut(raw: RawFrame): PutFrame {
  const reader = readerOf(raw);
  const tensor = readTensor(reader, false);
  if (tensor.slot !== 0 || tensor.source === 'HANDLE' || tensor.source === 'OMITTED') {
    return reader.fail('BAD_VALUE', 'tensor');
  }
  reader.finish();
  return { type: 'PUT', id: raw.id, tensor };
}

function readTensors(reader: PayloadReader, count: number, areOutputs: boolean): WireTensor[] {
  if (count > wireLimits.tensorsMax) reader.fail('TOO_MANY', 'tensors');
  if (count === 0) return [];
  const tensors = [readTensorAfter(reader, areOutputs, 0)];
  for (let i = 1; i < count; i++) {
    tensors.push(readTensorAfter(reader, areOutputs, (tensors[i - 1] as WireTensor).slot + 1));
  }
  return tensors;
}

function readTensorAfter(reader: PayloadReader, isOutput: boolean, slotMin: number): WireTensor {
  const tensor = readTensor(reader, isOutput);
  if (!allowsSource(tensor.source, isOutput)) reader.fail('BAD_VALUE', 'source');
  if (tensor.slot >= wireLimits.tensorsMax) reader.fail('BAD_VALUE', 'slot');
  if (tensor.slot < slotMin) reader.fail('BAD_ORDER', 'slot');
  return tensor;
}

function decodeByLayout(raw: RawFrame, layout: Layout): Frame {
  const reader = readerOf(raw);
  const fields: Fields = { type: raw.type, id: raw.id };
  for (const [key, bit] of Object.entries(layout.flags ?? {})) {
    fields[key] = (raw.flags & bit) !== 0;
  }
  readFields(layout, reader, fields);
  for (const { key, flag, read } of layout.records ?? []) {
    if (flag === undefined) fields[key] = repeat(fields[key] as number, () => read(reader));
    else fields[key] = (raw.flags & flag) === 0 ? undefined : read(reader);
  }
  reader.finish();
  const frame = fields as unknown as Frame;
  const problem = layout.check?.(frame);
  if (problem !== undefined) reader.fail(problem);
  return frame;
}

function repeat<T>(count: number, read: () => T): T[] {
  const items: T[] = [];
  for (let i = 0; i < count; i++) items.push(read());
  return items;
}
