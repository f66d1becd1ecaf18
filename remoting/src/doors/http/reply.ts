import type { IncomingMessage, ServerResponse } from 'node:http';

import { asAxleError, AxleError } from '@axle/core/internal';

import type { Tenant } from '../../trust/tenants.js';
import type { DoorClient } from '../door-clients.js';
import type { DoorLimits } from '../door-limits.js';
import type { DoorRequest } from '../door-request.js';
import { acceptedEncoding, decoded, encoded, readContentEncoding } from './encodings.js';
import { httpStatusOf } from '../status.js';
import { WrongMethod } from './wrong-method.js';

/** Of the body of a request that is refused by its headers: more is not read for the connection's sake. */
const msPerSecond = 1000;
const ignoredBytesMax = 1024 * 1024;

/** An answer that is worth to be packed. */
const encodedBytesMin = 1024;

/** An answer that is cheaper to put together than to write piece by piece. */
const joinedBytesMax = 65_536;

const wrongMethod = 405;

/** One request of HTTP: its body comes in here, and its answer goes out. */
export class Reply {
  /** For whom it is; undefined: for anyone, or not known. */
  private tenant: Tenant | undefined;

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
   * UNIMPLEMENTED for an encoding that is not known; INVALID_ARGUMENT; CANCELLED when it breaks off.
   */
  async body({ tenant }: DoorClient): Promise<Buffer> {
    this.tenant = tenant;
    const encoding = readContentEncoding(this.header('content-encoding'));
    const announced = Number(this.header('content-length') ?? 0);
    this.check(announced);
    let charged = announced;
    tenant.usage.take('requestBytes', announced);
    const charge = (bytes: number) => {
      this.check(bytes);
      if (bytes <= charged) return;
      tenant.usage.take('requestBytes', bytes - charged);
      charged = bytes;
    };
    try {
      if (this.header('expect')?.toLowerCase() === '100-continue') this.response.writeContinue();
      const body = await this.read(charge);
      this.asked.bytesIn = body.byteLength;
      if (encoding === undefined) return body;
      const { byteLength } = body;
      // Both are here for a while. What it unpacks to has the limit of one that comes as it is.
      return await decoded(encoding, body, (bytes) => {
        this.check(bytes);
        if (byteLength + bytes <= charged) return;
        tenant.usage.take('requestBytes', byteLength + bytes - charged);
        charged = byteLength + bytes;
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

  /**
   * Charged until the client has taken it; refusals are small.
   *
   * @throws AxleError RESOURCE_EXHAUSTED past a quota
   */
  send(
    status: number,
    headers: Readonly<Record<string, string | number>>,
    pieces: readonly Uint8Array[],
  ): void {
    // The client has gone: nobody would give back what is charged.
    if (this.response.destroyed) return;
    const length = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (status < 400) this.charge(length);
    this.asked.bytesOut = length;
    this.asked.end('OK');
    const accepted = acceptedEncoding(this.header('accept-encoding'));
    if (accepted === undefined || length < encodedBytesMin) {
      this.write(status, headers, pieces, length);
      return;
    }
    encoded(accepted, pieces).then(
      (packed) => {
        const told = { ...headers, 'content-encoding': accepted, vary: 'accept-encoding' };
        this.write(status, told, [packed], packed.byteLength);
      },
      () => this.response.destroy(),
    );
  }

  private charge(bytes: number): void {
    const usage = this.tenant?.usage;
    usage?.take('answerBytes', bytes);
    this.response.once('close', () => {
      usage?.give('answerBytes', bytes);
    });
  }

  private write(
    status: number,
    headers: Readonly<Record<string, string | number>>,
    pieces: readonly Uint8Array[],
    length: number,
  ): void {
    const { response } = this;
    // The client may have gone while it was packed.
    if (response.destroyed) return;
    // A client that takes nothing of it for so long does not keep it here.
    response.setTimeout(this.limits.requestMs, () => response.destroy());
    const id = this.asked.givenId ?? this.asked.id;
    response.writeHead(status, { ...headers, 'content-length': length, 'x-request-id': id });
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
    const allowed = error instanceof WrongMethod ? error.allowed.join(', ') : undefined;
    const status = allowed === undefined ? httpStatusOf(error) : wrongMethod;
    const headers = {
      'content-type': 'application/json',
      'axle-code': error.code,
      'axle-retryable': String(error.retryable),
      ...(allowed !== undefined && { allow: allowed }),
      ...(status === 401 && { 'www-authenticate': 'Bearer' }),
      ...(status === 503 && { 'retry-after': retrySeconds(error) }),
      ...(error.earliestMs !== undefined && { 'axle-earliest-ms': Math.ceil(error.earliestMs) }),
    };
    this.send(status, headers, [Buffer.from(JSON.stringify({ error: error.message }))]);
  }

  /** Told when the client does not wait for the answer any more. */
  onCancelled(listener: (reason: AxleError) => void): void {
    // It may have gone while its request was read.
    if (this.response.destroyed) {
      listener(brokenOff());
      return;
    }
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

/** HTTP counts in seconds. */
function retrySeconds({ retryAfterMs = 0 }: AxleError): number {
  return Math.max(1, Math.ceil(retryAfterMs / msPerSecond));
}
