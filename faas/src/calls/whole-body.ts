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

function tooLong(what: string, bytesMax: number): AxleError {
  return new AxleError('RESOURCE_EXHAUSTED', `${what} has more than ${bytesMax} bytes, the most`, {
    retryable: false,
  });
}
