import { AxleError } from './errors.js';

/**
 * @param what for messages: 'image', 'tensor'.
 * @throws AxleError INVALID_ARGUMENT for memory that was transferred away.
 */
export function checkAttached(memory: ArrayBufferLike, what: string): void {
  if (memory.byteLength > 0) return;
  try {
    new Uint8Array(memory);
  } catch (error) {
    throw transferredAway(what, error);
  }
}

export function transferredAway(what: string, cause?: unknown): AxleError {
  return new AxleError(
    'INVALID_ARGUMENT',
    `the memory of the ${what} was transferred elsewhere; give it before, or a copy of it`,
    { cause },
  );
}
