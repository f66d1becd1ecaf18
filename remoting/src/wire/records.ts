import { ArgType, ErrorCode, errorCodeOf, type ArgTypeName } from '@axle/core';

import { wireLimits } from '../generated/wire.js';
import type { ByteRange, WireArg, WireFallback, WireStep } from './frames.js';
import { encodeName, isDeviceIndex } from './layout.js';
import type { PayloadReader } from './payload-reader.js';
import type { PayloadWriter } from './payload-writer.js';
import { cleanMessage } from './text.js';

const { nameBytesMax, messageBytesMax } = wireLimits;

const argTypeById = new Map<number, ArgTypeName>(
  (Object.keys(ArgType) as ArgTypeName[]).map((name) => [ArgType[name], name]),
);

/** BOOL, INT and FLOAT. */
const scalarBytes = 8;

export function readArg(reader: PayloadReader): WireArg {
  const type = argTypeById.get(reader.u8()) ?? reader.fail('BAD_VALUE', 'args');
  reader.zero(1);
  const nameBytes = readNameBytes(reader, 'args');
  const valueBytes = reader.u32();
  const isScalar = type !== 'STRING' && type !== 'BYTES';
  if (isScalar && valueBytes !== scalarBytes) reader.fail('BAD_VALUE', 'args');
  const name = reader.paddedText(nameBytes, 'args');
  switch (type) {
    case 'BOOL':
      return { name, type, value: readBool(reader) };
    case 'INT':
      return { name, type, value: reader.i64('args') };
    case 'FLOAT':
      return { name, type, value: reader.f64() };
    case 'STRING':
      return { name, type, value: reader.paddedText(valueBytes, 'args', 'any') };
    case 'BYTES':
      return { name, type, value: reader.paddedRaw(valueBytes) };
  }
}

function readBool(reader: PayloadReader): boolean {
  const value = reader.u64('args');
  if (value > 1) reader.fail('BAD_VALUE', 'args');
  return value === 1;
}

export function writeArg(writer: PayloadWriter, arg: WireArg): void {
  const name = encodeRecordName(writer, arg.name, 'args');
  const value = argValue(arg);
  writer.u8(ArgType[arg.type], 'args');
  writer.zero(1);
  writer.u16(name.length, 'args');
  writer.u32(value?.byteLength ?? scalarBytes, 'args');
  writer.paddedRaw(name);
  if (value !== undefined) writer.paddedRaw(value);
  else if (arg.type === 'BOOL') writer.u64(arg.value ? 1 : 0, 'args');
  else if (arg.type === 'INT') writer.i64(arg.value, 'args');
  else if (arg.type === 'FLOAT') writer.f64(arg.value);
}

/** The bytes of a value that has any length. */
function argValue(arg: WireArg): Uint8Array | undefined {
  if (arg.type === 'BYTES') return arg.value;
  return arg.type === 'STRING' ? Buffer.from(arg.value) : undefined;
}

export function readInputName(reader: PayloadReader): string {
  const bytes = readNameBytes(reader, 'inputNames');
  reader.zero(6);
  return reader.paddedText(bytes, 'inputNames');
}

export function writeInputName(writer: PayloadWriter, name: string): void {
  const bytes = encodeRecordName(writer, name, 'inputNames');
  writer.u16(bytes.length, 'inputNames');
  writer.zero(6);
  writer.paddedRaw(bytes);
}

function readNameBytes(reader: PayloadReader, field: string): number {
  const bytes = reader.u16();
  if (bytes === 0) reader.fail('BAD_VALUE', field);
  if (bytes > nameBytesMax) reader.fail('TOO_LONG', field);
  return bytes;
}

function encodeRecordName(writer: PayloadWriter, name: string, field: string): Buffer {
  const bytes = encodeName(writer, name, field);
  if (bytes.length === 0) writer.fail('BAD_VALUE', field);
  if (bytes.length > nameBytesMax) writer.fail('TOO_LONG', field);
  return bytes;
}

export function readRange(reader: PayloadReader): ByteRange {
  const offset = reader.u64('ranges');
  const bytes = reader.u64('ranges');
  if (bytes === 0) reader.fail('BAD_VALUE', 'ranges');
  if (!Number.isSafeInteger(offset + bytes)) reader.fail('NUMBER_TOO_LARGE', 'ranges');
  return { offset, bytes };
}

export function writeRange(writer: PayloadWriter, { offset, bytes }: ByteRange): void {
  if (bytes === 0) writer.fail('BAD_VALUE', 'ranges');
  if (!Number.isSafeInteger(offset + bytes)) writer.fail('NUMBER_TOO_LARGE', 'ranges');
  writer.u64(offset, 'ranges');
  writer.u64(bytes, 'ranges');
}

/** Whether no range begins before the end of the one before it. */
export function rangesRise(ranges: readonly ByteRange[]): boolean {
  let end = 0;
  for (const range of ranges) {
    if (range.offset < end) return false;
    end = range.offset + range.bytes;
  }
  return true;
}

export function readStep(reader: PayloadReader): WireStep {
  const first = reader.u8();
  const last = reader.u8();
  if (first > last) reader.fail('BAD_VALUE', 'steps');
  const batchSize = reader.u16();
  if (batchSize === 0) reader.fail('BAD_VALUE', 'steps');
  const device = readDevice(reader, 'steps');
  reader.zero(2);
  const step = {
    first,
    last,
    batchSize,
    device,
    queueUs: reader.u32(),
    transferUs: reader.u32(),
    computeUs: reader.u32(),
  };
  reader.zero(4);
  return step;
}

export function writeStep(writer: PayloadWriter, step: WireStep): void {
  if (step.first > step.last || step.batchSize === 0) writer.fail('BAD_VALUE', 'steps');
  writer.u8(step.first, 'steps');
  writer.u8(step.last, 'steps');
  writer.u16(step.batchSize, 'steps');
  writeDevice(writer, step.device, 'steps');
  writer.zero(2);
  writer.u32(step.queueUs, 'steps');
  writer.u32(step.transferUs, 'steps');
  writer.u32(step.computeUs, 'steps');
  writer.zero(4);
}

export function readFallback(reader: PayloadReader): WireFallback {
  const code = reader.u16();
  if (code === ErrorCode.OK) reader.fail('BAD_VALUE', 'fallbacks');
  const device = readDevice(reader, 'fallbacks');
  const bytes = reader.u16();
  if (bytes > messageBytesMax) reader.fail('TOO_LONG', 'fallbacks');
  reader.zero(2);
  const message = reader.paddedText(bytes, 'fallbacks', 'lines');
  return { code: errorCodeOf(code), device, message };
}

export function writeFallback(writer: PayloadWriter, fallback: WireFallback): void {
  const message = Buffer.from(cleanMessage(fallback.message, messageBytesMax));
  if (fallback.code === 'OK') writer.fail('BAD_VALUE', 'fallbacks');
  writer.u16(ErrorCode[fallback.code], 'fallbacks');
  writeDevice(writer, fallback.device, 'fallbacks');
  writer.u16(message.length, 'fallbacks');
  writer.zero(2);
  writer.paddedRaw(message);
}

function readDevice(reader: PayloadReader, field: string): number {
  const device = reader.u16();
  if (!isDeviceIndex(device)) reader.fail('BAD_VALUE', field);
  return device;
}

function writeDevice(writer: PayloadWriter, device: number, field: string): void {
  if (!isDeviceIndex(device)) writer.fail('BAD_VALUE', field);
  writer.u16(device, field);
}

/** Of a TENSOR_SPEC: -1 stands for any size. */
export function readSpecDim(reader: PayloadReader): number {
  const size = reader.i64('shape');
  if (size < -1) reader.fail('BAD_VALUE', 'shape');
  return size;
}

export function writeSpecDim(writer: PayloadWriter, size: number): void {
  if (size < -1) writer.fail('BAD_VALUE', 'shape');
  writer.i64(size, 'shape');
}
