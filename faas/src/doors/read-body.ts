import type { IncomingMessage } from 'node:http';

import { AxleError } from 'axle';

import { wholeBodyMs } from './door-limits.js';

/**
 * The whole body of a request, in memory.
 *
 * @throws AxleError RESOURCE_EXHAUSTED past `bytesMax`; DEADLINE_EXCEEDED when it does not come within `wholeBodyMs`;
 * CANCELLED when the client went away.
 */
export async function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  checkLength(request, bytesMax);
  const chunks: Buffer[] = [];
  let bytes = 0;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    request.destroy();
  }, wholeBodyMs);
  try {
    for await (const chunk of bodyOf(request)) {
      bytes += chunk.byteLength;
      if (bytes > bytesMax) throw tooLong(bytesMax);
      chunks.push(chunk);
    }
  } catch (error) {
    if (isLate)
      throw AxleError.expected(
        'DEADLINE_EXCEEDED',
        'the body did not come in time; send it faster',
      );
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, bytes);
}

/** @throws AxleError RESOURCE_EXHAUSTED, before anything is read */
export function checkLength({ headers }: IncomingMessage, bytesMax: number): void {
  if (Number(headers['content-length'] ?? 0) > bytesMax) throw tooLong(bytesMax);
}

/**
 * What comes, as it comes. Whoever stops early ends the reading and not the connection, over which the answer still has
 * to go.
 */
export async function* bodyOf(
  request: IncomingMessage,
  bytesMax = Infinity,
): AsyncGenerator<Buffer> {
  let bytes = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      bytes += (chunk as Buffer).byteLength;
      if (bytes > bytesMax) throw tooLong(bytesMax);
      yield chunk as Buffer;
    }
  } catch (error) {
    if (error instanceof AxleError) throw error;
    throw AxleError.expected('CANCELLED', 'the client went away before its body had come');
  }
}

function tooLong(bytesMax: number): AxleError {
  return new AxleError('RESOURCE_EXHAUSTED', `the body has more than ${bytesMax} bytes, the most`, {
    retryable: false,
  });
}
