import { AxleError } from 'axle';

/**
 * A body in one piece.
 *
 * @param what has it, for the message
 * @throws AxleError RESOURCE_EXHAUSTED past `bytesMax`; whatever its source throws.
 */
export async function wholeBody(
  body: Uint8Array | AsyncIterable<Uint8Array>,
  bytesMax: number,
  what: string,
): Promise<Uint8Array> {
  if (body instanceof Uint8Array) {
    if (body.byteLength > bytesMax) throw tooLong(what, bytesMax);
    return body;
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) throw tooLong(what, bytesMax);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

const ofLongBodies = new WeakSet<AxleError>();

/** Whether it is what `wholeBody` says of a body past its limit, and not its source. */
export function isTooLong(error: unknown): error is AxleError {
  return error instanceof AxleError && ofLongBodies.has(error);
}

function tooLong(what: string, bytesMax: number): AxleError {
  const message = `${what} has more than ${bytesMax} bytes, the most`;
  const error = new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
  ofLongBodies.add(error);
  return error;
}
