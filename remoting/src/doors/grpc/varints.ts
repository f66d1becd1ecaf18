import { AxleError } from '@axle/core/internal';

/** A 64-bit number in protobuf's variable form. */
const bytesMax = 10;

/**
 * The numbers that pieces of packed fields hold; bytes with the top bit set go on.
 *
 * @returns more than `most` for more, without counting all of them
 */
export function countVarints(pieces: readonly Uint8Array[], most: number): number {
  const bytes = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (bytes > most * bytesMax) return most + 1;
  let count = 0;
  for (const piece of pieces) {
    const { byteLength } = piece;
    for (let at = 0; at < byteLength; at += 1) if ((piece[at] ?? 0) < 0x80) count += 1;
    if (count > most) break;
  }
  return count;
}

/**
 * Reads numbers one after another, each as its low and its high 32 bits.
 *
 * @throws AxleError INVALID_ARGUMENT for a number that does not end.
 */
export function eachVarint(
  pieces: readonly Uint8Array[],
  each: (low: number, high: number, index: number) => void,
): void {
  let index = 0;
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; index += 1) {
      const only = piece[at] ?? 0;
      if (only < 0x80) {
        at += 1;
        each(only, 0, index);
        continue;
      }
      let low = 0;
      let high = 0;
      let read = 0;
      for (let byte = 0x80; byte >= 0x80; read += 1) {
        if (at >= piece.length || read === bytesMax) throw unended();
        byte = piece[at++] ?? 0;
        const bits = byte & 0x7f;
        if (read < 4) low |= bits << (7 * read);
        else if (read === 4) {
          low |= bits << 28;
          high |= bits >> 4;
        } else high |= bits << (7 * read - 32);
      }
      each(low, high, index);
    }
  }
}

/** A 64-bit number as JavaScript has it; not exact beyond 2^53. */
export function signedNumber(low: number, high: number): number {
  return high * 0x1_0000_0000 + (low >>> 0);
}

function unended(): AxleError {
  return new AxleError('INVALID_ARGUMENT', 'the message holds a number that does not end');
}
