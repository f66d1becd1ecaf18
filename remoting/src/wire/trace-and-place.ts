import { wireLimits } from '../generated/wire.js';
import type { Place, TraceContext } from './frames.js';
import type { PayloadReader } from './payload-reader.js';
import type { PayloadWriter } from './payload-writer.js';

export const placeBytes = 24;
export const traceBytes = 32;
const traceIdBytes = 16;
const parentIdBytes = 8;

export function readPlace(reader: PayloadReader): Place {
  const arena = readArena(reader);
  return { arena, offset: reader.u64('place'), bytes: reader.u64('place') };
}

export function writePlace(writer: PayloadWriter, place: Place): void {
  writeArena(writer, place.arena);
  writer.u64(place.offset, 'place');
  writer.u64(place.bytes, 'place');
}

/** An arena's number and the four reserved bytes after it. */
export function readArena(reader: PayloadReader): number {
  const arena = reader.u32();
  if (arena > wireLimits.arenasMax) reader.fail('BAD_VALUE', 'arena');
  reader.zero(4);
  return arena;
}

export function writeArena(writer: PayloadWriter, arena: number): void {
  if (arena > wireLimits.arenasMax) writer.fail('BAD_VALUE', 'arena');
  writer.u32(arena, 'arena');
  writer.zero(4);
}

export function readTrace(reader: PayloadReader): TraceContext {
  const traceId = reader.raw(traceIdBytes);
  const parentId = reader.raw(parentIdBytes);
  if (isZero(traceId) || isZero(parentId)) reader.fail('BAD_VALUE', 'trace');
  const traceFlags = reader.u8();
  reader.zero(7);
  return { traceId, parentId, traceFlags };
}

export function writeTrace(writer: PayloadWriter, trace: TraceContext): void {
  const { traceId, parentId, traceFlags } = trace;
  const fit = traceId.byteLength === traceIdBytes && parentId.byteLength === parentIdBytes;
  if (!fit || isZero(traceId) || isZero(parentId)) writer.fail('BAD_VALUE', 'trace');
  writer.raw(traceId);
  writer.raw(parentId);
  writer.u8(traceFlags, 'trace');
  writer.zero(7);
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
