import { isUtf8 } from 'node:buffer';

const newline = 0x0a;
const tab = 0x09;
const firstPrintable = 0x20;
const del = 0x7f;

/**
 * Which control characters a text may hold: none in names, newlines and tabs in messages for people (the others could drive
 * their terminal), all in the values of arguments.
 */
export type TextKind = 'name' | 'lines' | 'any';

function allowsControl(kind: TextKind, byte: number): boolean {
  return kind === 'any' || (kind === 'lines' && (byte === newline || byte === tab));
}

/** Text from outside; undefined for what is not clean UTF-8. */
export function readText(
  memory: Buffer,
  start: number,
  end: number,
  kind: TextKind,
): string | undefined {
  let ascii = true;
  for (let at = start; at < end; at++) {
    const byte = memory[at] as number;
    if (byte >= 0x80) ascii = false;
    else if ((byte === del || byte < firstPrintable) && !allowsControl(kind, byte))
      return undefined;
  }
  if (ascii) return memory.toString('latin1', start, end);
  return isUtf8(memory.subarray(start, end)) ? memory.toString('utf8', start, end) : undefined;
}

/** Whether a text may be sent as a name. */
export function isCleanName(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- they are what is looked for
  return !/[\0-\x1f\x7f]|\p{Surrogate}/u.test(text);
}

/** A message that may be sent: without control characters, and cut to `bytesMax` of UTF-8 between characters. */
export function cleanMessage(text: string, bytesMax: number): string {
  // eslint-disable-next-line no-control-regex -- they are what is looked for
  const clean = text.replaceAll(/[\0-\x08\x0b-\x1f\x7f]/g, '\u{fffd}');
  // Half a surrogate pair becomes U+FFFD here.
  const bytes = Buffer.from(clean);
  let end = Math.min(bytesMax, bytes.length);
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
