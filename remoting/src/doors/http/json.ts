import { isUtf8 } from 'node:buffer';
import { randomBytes } from 'node:crypto';

import { AxleError } from '@axle/core/internal';

import { checkParts } from './json-parts.js';

/**
 * Text, or a whole number with more digits than every double has exactly. Text without an end reaches to the end of all,
 * so that it is not looked for again from each of its quotes.
 */
const textOrLong = /"(?:[^"\\]|\\[^])*(?:"|\\?$)|(?<=[[,:\s])-?\d{16,}(?![\d.eE])/g;
const long = /\d{16}/;
const shownCharactersMax = 32;
/** Before the digits of those, which JSON.parse has to take for text. No client can know it. */
const mark = `${randomBytes(9).toString('base64')}:`;

/**
 * Reads JSON. Whole numbers that a double may not hold exactly are for `numberOf`.
 *
 * @throws AxleError INVALID_ARGUMENT; RESOURCE_EXHAUSTED for more than `bytesMax`, or more parts than may be.
 */
export function parseJson(bytes: Uint8Array, bytesMax: number): unknown {
  if (bytes.byteLength > bytesMax) {
    throw new AxleError(
      'RESOURCE_EXHAUSTED',
      `the request has ${bytes.byteLength} bytes of JSON; ${bytesMax} are the most: send large tensors as binary data`,
      { retryable: false },
    );
  }
  checkParts(bytes);
  // Read anyway, other bytes would become U+FFFD.
  if (!isUtf8(bytes)) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      'the JSON of the request is no UTF-8; send bytes that are no text as binary data',
    );
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  try {
    return JSON.parse(long.test(text) ? text.replace(textOrLong, marked) : text) as unknown;
  } catch (error) {
    // V8's message quotes what may be anything.
    const [place = ''] = /at position \d+/.exec(String(error)) ?? [];
    throw new AxleError('INVALID_ARGUMENT', `the request is no JSON${place && ` (${place})`}`);
  }
}

function marked(match: string): string {
  return match.startsWith('"') ? match : `"${mark}${match}"`;
}

/** How messages show a value of `parseJson`. */
export function shown(value: unknown): string {
  const number = numberOf(value);
  if (number !== undefined) return String(number);
  if (isText(value)) return `the text ${JSON.stringify(value.slice(0, shownCharactersMax))}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

/** Of what `parseJson` gives. */
export function isText(value: unknown): value is string {
  return typeof value === 'string' && !value.startsWith(mark);
}

const surrogate = /\p{Surrogate}/u;

/** Whether there is such a text in bytes: escapes of JSON may write half a character. */
export function isWellFormed(text: string): boolean {
  return !surrogate.test(text);
}

/** A number of JSON: exact, if it is a whole one. Undefined: it is none. */
export function numberOf(value: unknown): number | bigint | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || !value.startsWith(mark)) return undefined;
  return BigInt(value.slice(mark.length));
}
