import type { WireErrorIdName } from '../generated/wire.js';
import { padded, writeUint64 } from './numbers.js';
import { WireError } from './wire-error.js';

/** Writes the fields of one payload in order. What the other side would refuse it throws as WireError. */
export class PayloadWriter {
  /** Where the next byte goes. */
  at = 0;
  private frame = '';
  private start = 0;
  private end = 0;
  private memory: Uint8Array = new Uint8Array(0);
  view = new DataView<ArrayBufferLike>(new ArrayBuffer(0));

  /** The payload goes to `start` of `memory`, which has room for `bytesMax`. */
  begin(frame: string, memory: Uint8Array, view: DataView, start: number, bytesMax: number): void {
    this.frame = frame;
    this.memory = memory;
    this.view = view;
    this.start = start;
    this.at = start;
    this.end = start + bytesMax;
  }

  /** Bytes so far. */
  get length(): number {
    return this.at - this.start;
  }

  fail(error: WireErrorIdName, field = ''): never {
    throw new WireError(error, field === '' ? this.frame : `${this.frame}.${field}`);
  }

  /** Makes room for `bytes` of the payload. @returns where they begin */
  take(bytes: number): number {
    const { at } = this;
    if (bytes > this.end - at) this.fail('PAYLOAD_TOO_LONG');
    this.at = at + bytes;
    return at;
  }

  u8(value: number, field: string): void {
    this.checkWhole(value, 0xff, field);
    this.view.setUint8(this.take(1), value);
  }

  i8(value: number): void {
    this.view.setInt8(this.take(1), value);
  }

  u16(value: number, field: string): void {
    if (value >>> 16 !== 0 || (value | 0) !== value) this.checkWhole(value, 0xffff, field);
    this.view.setUint16(this.take(2), value, true);
  }

  u32(value: number, field: string): void {
    if (value >>> 0 !== value) this.checkWhole(value, 0xffff_ffff, field);
    this.view.setUint32(this.take(4), value, true);
  }

  u64(value: number, field: string): void {
    if (value >>> 0 !== value) this.checkWhole(value, Number.MAX_SAFE_INTEGER, field);
    writeUint64(this.view, this.take(8), value);
  }

  i64(value: number, field: string): void {
    if (!Number.isSafeInteger(value)) this.fail('NUMBER_TOO_LARGE', field);
    writeUint64(this.view, this.take(8), value);
  }

  f64(value: number): void {
    this.view.setFloat64(this.take(8), value, true);
  }

  zero(bytes: number): void {
    const start = this.take(bytes);
    for (let at = start; at < start + bytes; at++) this.memory[at] = 0;
  }

  raw(bytes: Uint8Array): void {
    this.memory.set(bytes, this.take(bytes.length));
  }

  paddedRaw(bytes: Uint8Array): void {
    this.raw(bytes);
    this.zero(padded(bytes.length) - bytes.length);
  }

  private checkWhole(value: number, max: number, field: string): void {
    if (Number.isInteger(value) && value >= 0 && value <= max) return;
    this.fail(value > max ? 'NUMBER_TOO_LARGE' : 'BAD_VALUE', field);
  }
}
