import { HealthState } from '@axle/core';

import { wireLimits } from '../generated/wire.js';
import type { Frame, FrameOf } from './frames.js';
import type { PayloadReader } from './payload-reader.js';
import type { PayloadWriter } from './payload-writer.js';
import { WIRE_MAGIC, type WireErrorIdName } from '../generated/wire.js';
import { cleanMessage, isCleanName } from './text.js';

/** Fields by name, while a frame is read or written. */
export type Fields = Record<string, unknown>;

/** One field of a frame's fixed part, in the order of the bytes. */
export interface Field {
  /** '' for what carries nothing. */
  readonly key: string;
  /** Bytes in the fixed part. */
  readonly bytes: number;
  /** What a test may put in: the kind of the field and its bounds. */
  readonly range: FieldRange;
  read(reader: PayloadReader, into: Fields): void;
  write(writer: PayloadWriter, from: Fields): void;
  /** Of texts and blobs, whose bytes follow the fixed part. */
  readBody?(reader: PayloadReader, into: Fields): void;
  writeBody?(writer: PayloadWriter, from: Fields): void;
}

export type FieldRange =
  | { readonly kind: 'nothing' | 'boolean' | 'device' }
  | { readonly kind: 'number'; readonly min: number; readonly max: number }
  | { readonly kind: 'choice'; readonly names: readonly string[] }
  | { readonly kind: 'raw'; readonly bytes: number }
  | { readonly kind: 'blob' | 'name' | 'message'; readonly max: number }
  | { readonly kind: 'records'; readonly max: number };

/** What follows the texts: `count` records, or one optional part that a flag announces. */
export interface Records {
  readonly key: string;
  readonly flag?: number;
  readonly read: (reader: PayloadReader) => unknown;
  readonly write: (writer: PayloadWriter, item: never) => void;
}

export interface Layout<F extends Frame = Frame> {
  readonly fields: readonly Field[];
  /** The booleans that stand for flags. */
  readonly flags?: Readonly<Record<string, number>>;
  readonly records?: readonly Records[];
  /** What no field by itself shows. */
  readonly check?: (frame: F) => WireErrorIdName | undefined;
}

export type LayoutOf<T extends Frame['type']> = Layout<FrameOf<T>>;

const integerBytes = { u8: 1, u16: 2, u32: 4, u64: 8 } as const;

function integer(kind: keyof typeof integerBytes, key: string, min: number, max: number): Field {
  return {
    key,
    bytes: integerBytes[kind],
    range: { kind: 'number', min, max },
    read(reader, into) {
      const value = reader[kind](key);
      if (value < min || value > max) reader.fail('BAD_VALUE', key);
      into[key] = value;
    },
    write(writer, from) {
      const value = from[key] as number;
      if (value < min || value > max) writer.fail('BAD_VALUE', key);
      writer[kind](value, key);
    },
  };
}

export function u8(key: string, min = 0, max = 0xff): Field {
  return integer('u8', key, min, max);
}

export function u16(key: string, min = 0, max = 0xffff): Field {
  return integer('u16', key, min, max);
}

export function u32(key: string, min = 0, max = 0xffff_ffff): Field {
  return integer('u32', key, min, max);
}

export function u64(key: string, min = 0, max: number = wireLimits.handleMax): Field {
  return integer('u64', key, min, max);
}

/** A device's index in the order of DESCRIBE, or that which stands for none. */
export function deviceIndex(key = 'device'): Field {
  const field = u16(key);
  return {
    ...field,
    range: { kind: 'device' },
    read(reader, into) {
      field.read(reader, into);
      if (!isDeviceIndex(into[key] as number)) reader.fail('BAD_VALUE', key);
    },
    write(writer, from) {
      if (!isDeviceIndex(from[key] as number)) writer.fail('BAD_VALUE', key);
      field.write(writer, from);
    },
  };
}

export function isDeviceIndex(index: number): boolean {
  return index < wireLimits.devicesMax || index === 0xffff;
}

export function priority(): Field {
  const { priorityMax } = wireLimits;
  return {
    key: 'priority',
    bytes: 1,
    range: { kind: 'number', min: -priorityMax, max: priorityMax },
    read(reader, into) {
      const value = reader.i8();
      if (Math.abs(value) > priorityMax) reader.fail('BAD_VALUE', 'priority');
      into['priority'] = value;
    },
    write(writer, from) {
      const value = from['priority'] as number;
      if (!Number.isInteger(value) || Math.abs(value) > priorityMax) {
        writer.fail('BAD_VALUE', 'priority');
      }
      writer.i8(value);
    },
  };
}

export function zero(bytes: number): Field {
  return {
    key: '',
    bytes,
    range: { kind: 'nothing' },
    read(reader) {
      reader.zero(bytes);
    },
    write(writer) {
      writer.zero(bytes);
    },
  };
}

export function magic(): Field {
  const expected = Buffer.from(WIRE_MAGIC, 'hex');
  return {
    key: '',
    bytes: expected.length,
    range: { kind: 'nothing' },
    read(reader) {
      if (!expected.equals(reader.raw(expected.length))) reader.fail('BAD_MAGIC');
    },
    write(writer) {
      writer.raw(expected);
    },
  };
}

/** Bytes of a length that the protocol fixes. */
export function raw(key: string, bytes: number): Field {
  return {
    key,
    bytes,
    range: { kind: 'raw', bytes },
    read(reader, into) {
      into[key] = reader.raw(bytes);
    },
    write(writer, from) {
      const value = from[key] as Uint8Array;
      if (value.byteLength !== bytes) writer.fail('BAD_VALUE', key);
      writer.raw(value);
    },
  };
}

export function bool8(key: string): Field {
  return {
    key,
    bytes: 1,
    range: { kind: 'boolean' },
    read(reader, into) {
      const value = reader.u8();
      if (value > 1) reader.fail('BAD_VALUE', key);
      into[key] = value === 1;
    },
    write(writer, from) {
      writer.u8(from[key] === true ? 1 : 0, key);
    },
  };
}

/** A number that stands for a name. @param otherwise what a number that is not known stands for */
export function choice(
  kind: 'u8' | 'u16',
  key: string,
  ids: Readonly<Record<string, number>>,
  otherwise?: string,
): Field {
  const nameById = new Map(Object.entries(ids).map(([name, id]) => [id, name]));
  return {
    key,
    bytes: integerBytes[kind],
    range: { kind: 'choice', names: Object.keys(ids) },
    read(reader, into) {
      into[key] = nameById.get(reader[kind]()) ?? otherwise ?? reader.fail('BAD_VALUE', key);
    },
    write(writer, from) {
      writer[kind](ids[from[key] as string] ?? writer.fail('BAD_VALUE', key), key);
    },
  };
}

export function healthState(key: string): Field {
  return choice('u8', key, HealthState);
}

function variable(
  key: string,
  kind: 'blob' | 'name' | 'message',
  max: number,
  read: (reader: PayloadReader, bytes: number) => unknown,
  encode: (value: never, writer: PayloadWriter) => Uint8Array,
): Field {
  return {
    key,
    bytes: 2,
    range: { kind, max },
    read(reader, into) {
      const bytes = reader.u16();
      if (bytes > max) reader.fail('TOO_LONG', key);
      into[key] = bytes;
    },
    write(writer, from) {
      const { byteLength } = encode(from[key] as never, writer);
      if (byteLength > max) writer.fail('TOO_LONG', key);
      writer.u16(byteLength, key);
    },
    readBody(reader, into) {
      into[key] = read(reader, into[key] as number);
    },
    writeBody(writer, from) {
      writer.paddedRaw(encode(from[key] as never, writer));
    },
  };
}

export function blob(key: string, max: number): Field {
  return variable(
    key,
    'blob',
    max,
    (reader, bytes) => reader.paddedRaw(bytes),
    (value: Uint8Array) => value,
  );
}

export function name(key: string, max: number = wireLimits.nameBytesMax): Field {
  return variable(
    key,
    'name',
    max,
    (reader, bytes) => reader.paddedText(bytes, key),
    (value: string, writer) => encodeName(writer, value, key),
  );
}

/** Text for people: it is cleaned and cut on the way out. */
export function message(key: string): Field {
  const max = wireLimits.messageBytesMax;
  return variable(
    key,
    'message',
    max,
    (reader, bytes) => reader.paddedText(bytes, key, 'lines'),
    (value: string) => Buffer.from(cleanMessage(value, max)),
  );
}

export function encodeName(writer: PayloadWriter, text: string, field: string): Buffer {
  if (!isCleanName(text)) writer.fail('BAD_TEXT', field);
  return Buffer.from(text);
}

/** How many records follow. */
export function count(kind: 'u8' | 'u16', key: string, max: number): Field {
  return {
    key,
    bytes: integerBytes[kind],
    range: { kind: 'records', max },
    read(reader, into) {
      const value = reader[kind]();
      if (value > max) reader.fail('TOO_MANY', key);
      into[key] = value;
    },
    write(writer, from) {
      const { length } = from[key] as readonly unknown[];
      if (length > max) writer.fail('TOO_MANY', key);
      writer[kind](length, key);
    },
  };
}

export function readFields(layout: Layout, reader: PayloadReader, into: Fields): void {
  for (const field of layout.fields) field.read(reader, into);
  for (const field of layout.fields) field.readBody?.(reader, into);
}

export function writeFields(layout: Layout, writer: PayloadWriter, from: Fields): void {
  for (const field of layout.fields) field.write(writer, from);
  for (const field of layout.fields) field.writeBody?.(writer, from);
}
