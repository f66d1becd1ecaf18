import type { IncomingMessage, ServerResponse } from 'node:http';

import { asAxleError, AxleError } from '@axle/core/internal';

import type { DoorClient } from '../door-clients.js';
import type { DoorLimits } from '../door-limits.js';
import type { DoorRequest } from '../door-request.js';
import { httpStatusOf } from '../status.js';

/** Of the body of a request that is refused by its headers: more is not read for the connection's sake. */
const ignoredBytesMax = 1024 * 1024;

/** An answer that is cheaper to put together than to write piece by piece. */
const joinedBytesMax = 65_536;

/** One request of HTTP: its body comes in here, and its answer goes out. */
export class Reply {
  constructor(
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
    private readonly asked: DoorRequest,
    readonly limits: DoorLimits,
  ) {}

  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  /**
   * The whole body, charged to the client while it comes and no longer.
   *
   * @throws AxleError RESOURCE_EXHAUSTED past a limit or quota, before any of it is read if its length is known;
   * UNIMPLEMENTED for one that is compressed; CANCELLED when it breaks off.
   */
  async body({ tenant }: DoorClient): Promise<Buffer> {
    const encoding = this.header('content-encoding') ?? 'identity';
    if (encoding !== 'identity') {
      throw new AxleError(
        'UNIMPLEMENTED',
        'this server takes no compressed bodies; send it without Content-Encoding',
      );
    }
    const announced = Number(this.header('content-length') ?? 0);
    this.check(announced);
    let charged = announced;
    tenant.usage.take('requestBytes', announced);
    try {
      if (this.header('expect') !== undefined) this.response.writeContinue();
      return await this.read((bytes) => {
        this.asked.bytesIn = bytes;
        if (bytes <= charged) return;
        this.check(bytes);
        tenant.usage.take('requestBytes', bytes - charged);
        charged = bytes;
      });
    } finally {
      tenant.usage.give('requestBytes', charged);
    }
  }

  json(value: object, status = 200): void {
    this.send(status, { 'content-type': 'application/json' }, [Buffer.from(JSON.stringify(value))]);
  }

  /** No content. */
  ok(status = 200): void {
    this.send(status, {}, []);
  }

  send(
    status: number,
    headers: Readonly<Record<string, string | number>>,
    pieces: readonly Uint8Array[],
  ): void {
    const { response } = this;
    const length = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const id = this.asked.givenId ?? this.asked.id;
    response.writeHead(status, { ...headers, 'content-length': length, 'x-request-id': id });
    this.asked.bytesOut = length;
    this.asked.end('OK');
    if (length <= joinedBytesMax) {
      response.end(Buffer.concat(pieces, length));
      return;
    }
    for (const piece of pieces) response.write(piece);
    response.end();
  }

  fail(error: AxleError): void {
    const { response, request, asked } = this;
    asked.end(error.code, error.message);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const unread = !request.complete && Number(this.header('content-length') ?? Infinity);
    if (unread !== false && unread > ignoredBytesMax && this.hasBody) {
      response.shouldKeepAlive = false;
    }
    const status = httpStatusOf(error);
    const headers = {
      'content-type': 'application/json',
      'axle-code': error.code,
      'axle-retryable': String(error.retryable),
      ...(status === 401 && { 'www-authenticate': 'Bearer' }),
      ...(status === 503 && { 'retry-after': 1 }),
    };
    this.send(status, headers, [Buffer.from(JSON.stringify({ error: error.message }))]);
  }

  /** Told when the client does not wait for the answer any more. */
  onCancelled(listener: (reason: AxleError) => void): void {
    this.response.once('close', () => {
      if (!this.response.writableFinished) listener(brokenOff());
    });
  }

  private get hasBody(): boolean {
    return (
      this.header('content-length') !== undefined || this.header('transfer-encoding') !== undefined
    );
  }

  /** @param each told how much is there so far; what it throws, the read ends with */
  private read(each: (bytes: number) => void): Promise<Buffer> {
    const { request } = this;
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.byteLength;
        try {
          each(bytes);
        } catch (error) {
          request.removeAllListeners('data').resume();
          reject(asAxleError(error));
          return;
        }
        chunks.push(chunk);
      });
      request.once('end', () => {
        const [first] = chunks;
        resolve(chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks));
      });
      request.once('close', () => {
        if (!request.complete) reject(brokenOff());
      });
    });
  }

  private check(bytes: number): void {
    const { messageBytesMax } = this.limits;
    if (bytes <= messageBytesMax) return;
    throw new AxleError(
      'RESOURCE_EXHAUSTED',
      `the body has ${bytes} bytes or more; this server takes ${messageBytesMax}`,
      { retryable: false },
    );
  }
}

function brokenOff(): AxleError {
  return AxleError.expected('CANCELLED', 'the client broke off');
}
