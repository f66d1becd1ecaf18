import { argumentError } from './argument-error.js';
import { AxleError } from './errors.js';
import type { Registry } from './registry.js';

/**
 * Memory that some backend can use where it lies, or ordinary memory.
 *
 * @throws AxleError INVALID_ARGUMENT for a length that is none.
 */
export async function allocateMemory(registry: Registry, byteLength: number): Promise<Uint8Array> {
  if (!Number.isSafeInteger(byteLength) || byteLength < 0) {
    throw argumentError('byteLength', byteLength, 'a whole number of bytes, from 0 up');
  }
  for (const backend of registry.all) {
    const memory = await backend.allocate?.(byteLength);
    if (memory !== undefined) return memory;
  }
  try {
    return new Uint8Array(byteLength);
  } catch (error) {
    const message = `there is no memory for ${byteLength} bytes in one piece; ask for less`;
    throw new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false, cause: error });
  }
}

/** Callers in plain JavaScript have no types to tell them. @throws AxleError INVALID_ARGUMENT */
export function checkInto(into: unknown): void {
  if (into === undefined || into instanceof Uint8Array) return;
  throw argumentError('into', into, 'a Uint8Array that allocate gave, or nothing');
}

export function oneIntoForMany(): AxleError {
  return new AxleError(
    'INVALID_ARGUMENT',
    "'into' is memory for one result; make a call for each input, with memory of its own",
  );
}
