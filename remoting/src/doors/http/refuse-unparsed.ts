import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

import { AxleError } from '@axle/core/internal';

/** By Node's code of what it could not read. */
const statuses: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** What a client still sends when it is refused is read and dropped: closing at once could take the answer from it. */
const lingerMs = 1000;
const lingerBytesMax = 1024 * 1024;

/** Connections that are refused and not closed yet, and what had come over them by then. */
const refused = new WeakMap<Socket, number>();

/** Takes more of what a refused connection sends. @returns false: it is none. */
export function dropsMore(stream: Socket): boolean {
  const before = refused.get(stream);
  if (before === undefined) return false;
  if (stream.bytesRead - before > lingerBytesMax) stream.destroy();
  return true;
}

/**
 * Answers what is no request of HTTP, or did not come in time, in the form of all errors, and ends the connection: where
 * the next request would begin nobody knows.
 */
export function refuseUnparsed(stream: Socket, { code = '' }: NodeJS.ErrnoException): void {
  const status = statuses[code] ?? 400;
  const { code: axleCode, message, retryable } = errorOf(status);
  const body = JSON.stringify({ error: message });
  stream.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
      'connection: close',
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
      `axle-code: ${axleCode}`,
      `axle-retryable: ${retryable}`,
      '',
      body,
    ].join('\r\n'),
  );
  refused.set(stream, stream.bytesRead);
  const timer = setTimeout(() => stream.destroy(), lingerMs);
  stream.once('end', () => stream.destroy());
  stream.once('close', () => {
    clearTimeout(timer);
  });
}

function errorOf(status: number): AxleError {
  if (status === 408) {
    return new AxleError('DEADLINE_EXCEEDED', 'the request did not come in time; send it faster');
  }
  if (status === 400) {
    return new AxleError('INVALID_ARGUMENT', 'what came is no request of HTTP/1.1');
  }
  return new AxleError('RESOURCE_EXHAUSTED', 'the headers of the request are too long', {
    retryable: false,
  });
}
