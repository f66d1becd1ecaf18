import type { WireErrorIdName } from '../generated/wire.js';
import { padded, readInt64, readUint64 } from './numbers.js';
import { readText, type TextKind } from './text.js';
import { WireError } from './wire-error.js';

/** Reads the fields of one payload in order; what is wrong with them it throws as WireError. */
export class PayloadReader {
  memory: Buffer = Buffer.alloc(0);
  view = new DataView<ArrayBufferLike>(new ArrayBuffer(0));
  /** Where the next byte is. */
  at = 0;
  /** For messages: the frame's name. */
  private frame = '';
  private end = 0;

  begin(frame: string, memory: Buffer, view: DataView, start: number, end: number): void {
    this.frame = frame;
    this.memory = memory;
    this.view = view;
    this.at = start;
    this.end = end;
  }

  fail(error: WireErrorIdName, field = ''): never {
    throw new WireError(error, field === '' ? this.frame : `${this.frame}.${field}`);
  }

  /** Moves past `bytes` of the payload, which must be there. @returns where they begin */
  take(bytes: number): number {
    const { at } = this;
    if (bytes > this.end - at) this.fail('PAYLOAD_TRUNCATED');
    this.at = at + bytes;
    return at;
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }

  i8(): number {
    return this.view.getInt8(this.take(1));
  }

  u16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  u64(field: string): number {
    return readUint64(this.view, this.take(8)) ?? this.fail('NUMBER_TOO_LARGE', field);
  }

  i64(field: string): number {
    return readInt64(this.view, this.take(8)) ?? this.fail('NUMBER_TOO_LARGE', field);
  }

  f64(): number {
    return this.view.getFloat64(this.take(8), true);
  }

  zero(bytes: number): void {
    const start = this.take(bytes);
    for (let at = start; at < start + bytes; at++) {
      if (this.memory[at] !== 0) this.fail('RESERVED_NOT_ZERO');
    }
  }

  /** A view of the next bytes. */
  raw(bytes: number): Uint8Array {
    return this.viewOf(this.take(bytes), bytes);
  }

  /** The same, and the padding after them. */
  paddedRaw(bytes: number): Uint8Array {
    const start = this.take(bytes);
    this.zero(padded(bytes) - bytes);
    return this.viewOf(start, bytes);
  }

  /** Made by hand: `subarray` takes half as long again. */
  private viewOf(start: number, bytes: number): Uint8Array {
    const { buffer, byteOffset } = this.view;
    return new Uint8Array(buffer, byteOffset + start, bytes);
  }

  paddedText(bytes: number, field: string, kind: TextKind = 'name'): string {
    const start = this.take(bytes);
    this.zero(padded(bytes) - bytes);
    return readText(this.memory, start, start + bytes, kind) ?? this.fail('BAD_TEXT', field);
  }

  /** All has been read. */
  finish(): void {
    if (this.at !== this.end) this.fail('PAYLOAD_OVERLONG');
  }
}
