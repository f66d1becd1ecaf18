/** Frames, texts and tensor data are padded to this. */
export const alignment = 8;
export const headerBytes = 16;
export const numberMax = Number.MAX_SAFE_INTEGER;

const wordRange = 2 ** 32;

/** How many bytes `bytes` take with their padding. */
export function padded(bytes: number): number {
  // Not by a bit mask: lengths may be past 2^31.
  const over = bytes % alignment;
  return over === 0 ? bytes : bytes + alignment - over;
}

/** Undefined for a number past 2^53 - 1. */
export function readUint64(view: DataView, at: number): number | undefined {
  const high = view.getUint32(at + 4, true);
  const low = view.getUint32(at, true);
  if (high === 0) return low;
  return high < 2 ** 21 ? high * wordRange + low : undefined;
}

/** `value` is a safe integer; a negative one is written as two's complement. */
export function writeUint64(view: DataView, at: number, value: number): void {
  if (value >= 0 && value < wordRange) {
    view.setUint32(at, value, true);
    view.setUint32(at + 4, 0, true);
    return;
  }
  view.setUint32(at, value, true);
  view.setInt32(at + 4, Math.floor(value / wordRange), true);
}

/** Two's complement; undefined for a number past ±(2^53 - 1). */
export function readInt64(view: DataView, at: number): number | undefined {
  const value = view.getInt32(at + 4, true) * wordRange + view.getUint32(at, true);
  return Number.isSafeInteger(value) ? value : undefined;
}
