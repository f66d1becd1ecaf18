const usPerMs = 1000;
const u32Max = 2 ** 32 - 1;

/** Milliseconds as the wire has them: whole microseconds in a u32, which stop at its end. */
export function toWireUs(ms: number): number {
  return Math.min(u32Max, Math.max(0, Math.round(ms * usPerMs)));
}

export function fromWireUs(us: number): number {
  return us / usPerMs;
}
