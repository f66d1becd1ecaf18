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
  // By events: this is on the way of every call, and an iterator costs several promises for each chunk.
  await new Promise<void>((resolve, reject) => {
    const fail = (error: AxleError): void => {
      clearTimeout(timer);
      request.off('data', take).pause();
      reject(error);
    };
    const take = (chunk: Buffer): void => {
      bytes += chunk.byteLength;
      chunks.push(chunk);
      if (bytes > bytesMax) fail(tooLong(bytesMax));
    };
    const timer = setTimeout(() => {
      fail(
        AxleError.expected('DEADLINE_EXCEEDED', 'the body did not come in time; send it faster'),
      );
    }, wholeBodyMs);
    request.on('data', take);
    request.once('end', () => {
      clearTimeout(timer);
      resolve();
    });
    request.once('close', () => {
      if (!request.readableEnded) fail(clientGone());
    });
    request.once('error', () => fail(clientGone()));
  });
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
    throw clientGone();
  }
}

function clientGone(): AxleError {
  return AxleError.expected('CANCELLED', 'the client went away before its body had come');
}

function tooLong(bytesMax: number): AxleError {
  return new AxleError('RESOURCE_EXHAUSTED', `the body has more than ${bytesMax} bytes, the most`, {
    retryable: false,
  });
}
