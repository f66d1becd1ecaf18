import { AxleError } from 'axle/errors';

import type { IncomingBody } from '../channel/incoming-body.js';
import type { CallHead } from '../channel/instance-channel.js';
import type { Headers } from '../calls/function-call.js';

/** Of a body that `bytes`, `text` or `json` reads; larger ones are read as they come. */
export const wholeBodyBytesMax = 64 * 1024 * 1024;

const tooLargeBodies = new WeakSet<object>();

/** Whether an error says that a body was too large to be read as a whole: the caller's matter, where the handler leaves it so. */
export function isBodyTooLarge(error: unknown): boolean {
  return typeof error === 'object' && error !== null && tooLargeBodies.has(error);
}

function tooLarge(): AxleError {
  const message = `the body is over ${wholeBodyBytesMax} bytes, the most that bytes(), text() and json() read; read event.body as it comes`;
  const error = new AxleError('RESOURCE_EXHAUSTED', message, { retryable: false });
  tooLargeBodies.add(error);
  return error;
}

/** What a handler is called with. The body is read once, in whichever form. */
export class FunctionEvent {
  readonly method: string;
  /** Below the function, from '/'. */
  readonly path: string;
  /** Names in lower case; a name that comes more than once has its values in a list. */
  readonly headers: Headers;
  private parsedQuery: URLSearchParams | undefined;
  private isRead = false;

  constructor(
    private readonly head: CallHead,
    private readonly incoming: IncomingBody,
  ) {
    this.method = head.method;
    this.path = head.path;
    this.headers = head.headers;
  }

  get query(): URLSearchParams {
    this.parsedQuery ??= new URLSearchParams(this.head.query);
    return this.parsedQuery;
  }

  /** The body as it comes: for `for await`, `pipeline` or `Readable.from`. Whoever sends it waits for who reads it. */
  get body(): AsyncIterable<Uint8Array> {
    this.readOnce();
    return this.incoming;
  }

  /** @throws AxleError RESOURCE_EXHAUSTED over `wholeBodyBytesMax`; CANCELLED when the caller has gone. */
  async bytes(): Promise<Uint8Array> {
    this.readOnce();
    // Where its length is known, before any of it is read.
    if (Number(this.headers['content-length'] ?? 0) > wholeBodyBytesMax) throw tooLarge();
    if (this.incoming.isWhole) return this.incoming.takeAll();
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of this.incoming) {
      bytes += chunk.byteLength;
      if (bytes > wholeBodyBytesMax) throw tooLarge();
      chunks.push(chunk);
    }
    return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, bytes);
  }

  /** As UTF-8. @throws as `bytes` */
  async text(): Promise<string> {
    const { buffer, byteOffset, byteLength } = await this.bytes();
    return Buffer.from(buffer, byteOffset, byteLength).toString();
  }

  /** @throws AxleError INVALID_ARGUMENT for what is no JSON, and as `bytes` */
  async json(): Promise<unknown> {
    const text = await this.text();
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      const message = `the body is no JSON: ${(error as Error).message}`;
      throw new AxleError('INVALID_ARGUMENT', message, { cause: error });
    }
  }

  private readOnce(): void {
    if (this.isRead) {
      throw new AxleError('FAILED_PRECONDITION', 'the body was read before; keep what it gave');
    }
    this.isRead = true;
  }
}
