import { DATA_TYPE_BYTES, DataType, dataTypeNameOf, type DataTypeName } from '@axle/core';

import { TensorSource, wireLimits, type TensorSourceName } from '../generated/wire.js';
import type { WireTensor } from './frames.js';
import { padded } from './numbers.js';
import type { PayloadReader } from './payload-reader.js';
import type { PayloadWriter } from './payload-writer.js';
import { readArena, writeArena } from './trace-and-place.js';
import { encodeName } from './layout.js';

const { rankMax, nameBytesMax } = wireLimits;

const headBytes = 16;
const dtypeNames: readonly (DataTypeName | undefined)[] = Array.from({ length: 256 }, (_, id) =>
  dataTypeNameOf(id),
);

const noShape: readonly number[] = [];

/** Reads one record. @param names whether it may carry a name: of outputs */
export function readTensor(reader: PayloadReader, names: boolean): WireTensor {
  const { view } = reader;
  const at = reader.take(headBytes);
  const slot = view.getUint16(at, true);
  const source = view.getUint8(at + 4);
  const nameBytes = view.getUint8(at + 5);
  const output = view.getUint16(at + 6, true);
  reader.at = at + 8;
  const bytes = reader.u64('bytes');
  if (nameBytes > nameBytesMax) reader.fail('TOO_LONG', 'name');
  if (nameBytes > 0 && !names) reader.fail('RESERVED_NOT_ZERO', 'name');
  if (source === TensorSource.HANDLE) {
    if (view.getUint16(at + 2, true) !== 0 || bytes !== 0 || nameBytes !== 0) {
      reader.fail('RESERVED_NOT_ZERO', 'tensor');
    }
    if (output >= wireLimits.tensorsMax) reader.fail('BAD_VALUE', 'output');
    return { source: 'HANDLE', slot, output, handle: readHandle(reader) };
  }
  if (output !== 0) reader.fail('RESERVED_NOT_ZERO', 'output');
  const dtype = dtypeNames[view.getUint8(at + 2)] ?? reader.fail('BAD_VALUE', 'dtype');
  const shape = readShape(reader, view.getUint8(at + 3));
  checkBytes(reader, dtype, shape, bytes);
  const name = nameBytes === 0 ? '' : reader.paddedText(nameBytes, 'name');
  switch (source) {
    case TensorSource.INLINE:
      return { source: 'INLINE', slot, dtype, shape, name, data: readData(reader, bytes) };
    case TensorSource.FOLLOWS:
      if (bytes === 0) reader.fail('BAD_VALUE', 'bytes');
      return { source: 'FOLLOWS', slot, dtype, shape, name, bytes };
    case TensorSource.SHARED: {
      const arena = readArena(reader);
      return {
        source: 'SHARED',
        slot,
        dtype,
        shape,
        name,
        bytes,
        arena,
        offset: reader.u64('offset'),
      };
    }
    case TensorSource.OMITTED:
      return { source: 'OMITTED', slot, dtype, shape, name, bytes };
    default:
      return reader.fail('BAD_VALUE', 'source');
  }
}

function readHandle(reader: PayloadReader): number {
  const handle = reader.u64('handle');
  if (handle === 0) reader.fail('BAD_VALUE', 'handle');
  return handle;
}

function readShape(reader: PayloadReader, rank: number): readonly number[] {
  if (rank === 0) return noShape;
  if (rank > rankMax) reader.fail('TOO_MANY', 'dims');
  // Pushing onto an empty array makes room for 17.
  if (rank === 1) return [reader.u64('dims')];
  if (rank === 2) return [reader.u64('dims'), reader.u64('dims')];
  const shape: number[] = [];
  for (let i = 0; i < rank; i++) shape.push(reader.u64('dims'));
  return shape;
}

function readData(reader: PayloadReader, bytes: number): Uint8Array {
  // One check more than `take` makes, of a length that may be past all bounds.
  if (bytes > wireLimits.payloadBytesMax) reader.fail('PAYLOAD_TRUNCATED');
  return reader.paddedRaw(bytes);
}

function checkBytes(
  at: PayloadReader | PayloadWriter,
  dtype: DataTypeName,
  shape: readonly number[],
  bytes: number,
): void {
  if (dtype === 'BYTES') return;
  let expected = DATA_TYPE_BYTES[dtype];
  for (const size of shape) expected *= size;
  // Past 2^53 the product is not exact, but it is not `bytes` either.
  if (expected !== bytes) at.fail('SIZE_MISMATCH', 'bytes');
}

/** Bytes that the record takes in a payload. */
export function tensorBytes(tensor: WireTensor): number {
  if (tensor.source === 'HANDLE') return headBytes + 8;
  const nameBytes = tensor.name === '' ? 0 : padded(Buffer.byteLength(tensor.name));
  const common = headBytes + 8 * tensor.shape.length + nameBytes;
  if (tensor.source === 'INLINE') return common + padded(tensor.data.byteLength);
  return tensor.source === 'SHARED' ? common + 16 : common;
}

export function writeTensor(writer: PayloadWriter, tensor: WireTensor): void {
  if (tensor.source === 'HANDLE') {
    const { slot, handle, output } = tensor;
    if (handle === 0 || output >= wireLimits.tensorsMax) writer.fail('BAD_VALUE', 'handle');
    writeHead(writer, slot, 0, 0, 'HANDLE', 0, output, 0);
    writer.u64(handle, 'handle');
    return;
  }
  const { slot, dtype, shape, source } = tensor;
  const bytes = source === 'INLINE' ? tensor.data.length : tensor.bytes;
  const name = tensor.name === '' ? undefined : encodeName(writer, tensor.name, 'name');
  if (name !== undefined && name.length > nameBytesMax) writer.fail('TOO_LONG', 'name');
  if (shape.length > rankMax) writer.fail('TOO_MANY', 'dims');
  if (source === 'FOLLOWS' && bytes === 0) writer.fail('BAD_VALUE', 'bytes');
  checkBytes(writer, dtype, shape, bytes);
  writeHead(writer, slot, DataType[dtype], shape.length, source, name?.length ?? 0, 0, bytes);
  for (const size of shape) writer.u64(size, 'dims');
  if (name !== undefined) writer.paddedRaw(name);
  if (source === 'INLINE') writer.paddedRaw(tensor.data);
  if (source === 'SHARED') {
    writeArena(writer, tensor.arena);
    writer.u64(tensor.offset, 'offset');
  }
}

function writeHead(
  writer: PayloadWriter,
  slot: number,
  dtype: number,
  rank: number,
  source: TensorSourceName,
  nameBytes: number,
  output: number,
  bytes: number,
): void {
  const at = writer.take(8);
  const { view } = writer;
  view.setUint16(at, slot, true);
  view.setUint8(at + 2, dtype);
  view.setUint8(at + 3, rank);
  view.setUint8(at + 4, TensorSource[source]);
  view.setUint8(at + 5, nameBytes);
  view.setUint16(at + 6, output, true);
  writer.u64(bytes, 'bytes');
}

/** Whether a call (or, of `isOutput`, a result) may have such a tensor. */
export function allowsSource(source: TensorSourceName, isOutput: boolean): boolean {
  return source !== (isOutput ? 'HANDLE' : 'OMITTED');
}
