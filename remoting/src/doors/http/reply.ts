import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http';

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
const nothing = Buffer.alloc(0);

/** One request of HTTP: its body comes in here, and its answer goes out. */
export class Reply {
  /** For whom it is; undefined: for anyone, or not known. */
  private tenant: Tenant | undefined = undefined;
  /** Of an answer that its client has not taken, bytes. */
  private answerCharged = 0;
  private isClosed = false;
  /** Ends the read of the body, while it comes. */
  private breakOffRead: (() => void) | undefined = undefined;
  private cancelled: ((reason: AxleError) => void) | undefined = undefined;

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

  /** To be called when the response has closed. @returns false: it was called before */
  close(): boolean {
    if (this.isClosed) return false;
    this.isClosed = true;
    if (this.answerCharged > 0) this.tenant?.usage.give('answerBytes', this.answerCharged);
    this.breakOffRead?.();
    if (!this.response.writableFinished) this.cancelled?.(brokenOff());
    return true;
  }

  /**
   * The whole body, charged to the client while it comes and no longer.
   *
   * @throws AxleError RESOURCE_EXHAUSTED past a limit or quota, before any of it is read if its length is known;
   * UNIMPLEMENTED for an encoding that is not known; INVALID_ARGUMENT; CANCELLED when it breaks off.
   */
  async body({ tenant }: DoorClient): Promise<Buffer> {
    this.tenant = tenant;
    const { usage } = tenant;
    const encoding = readContentEncoding(this.header('content-encoding'));
    const announced = Number(this.header('content-length') ?? 0);
    this.check(announced);
    let charged = announced;
    usage.take('requestBytes', announced);
    const charge = (bytes: number) => {
      if (bytes <= charged) return;
      usage.take('requestBytes', bytes - charged);
      charged = bytes;
    };
    try {
      if (this.header('expect')?.toLowerCase() === '100-continue') this.response.writeContinue();
      const body = await this.read(charge);
      const { byteLength } = body;
      this.asked.bytesIn = byteLength;
      if (encoding === undefined) return body;
      // Both are here for a while. What it unpacks to has the limit of one that comes as it is.
      return await decoded(encoding, body, (bytes) => {
        this.check(bytes);
        charge(byteLength + bytes);
      });
    } finally {
      usage.give('requestBytes', charged);
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
    let length = 0;
    for (const { byteLength } of pieces) length += byteLength;
    if (status < 400) this.charge(length);
    this.asked.bytesOut = length;
    this.asked.end('OK');
    const accepts = this.header('accept-encoding');
    const accepted = accepts === undefined ? undefined : acceptedEncoding(accepts);
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
    this.tenant?.usage.take('answerBytes', bytes);
    this.answerCharged = bytes;
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
    const id = this.asked.givenId ?? this.asked.id;
    // An object that is put together anew for each answer costs more than all else here.
    const told: (string | number)[] = ['content-length', length, 'x-request-id', id];
    for (const name in headers) told.push(name, headers[name] as string | number);
    response.writeHead(status, told as (string | number)[] & OutgoingHttpHeader[]);
    if (length <= joinedBytesMax) {
      response.end(pieces.length === 1 ? pieces[0] : Buffer.concat(pieces, length));
    } else {
      for (const piece of pieces) response.write(piece);
      response.end();
    }
    // Most answers are with the operating system by now.
    if (response.writableLength === 0) return;
    // A client that takes nothing of it for so long does not keep it here.
    response.setTimeout(this.limits.requestMs, () => response.destroy());
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
    this.cancelled = listener;
  }

  private get hasBody(): boolean {
    return (
      this.header('content-length') !== undefined || this.header('transfer-encoding') !== undefined
    );
  }

  /** @param charge told how much is there so far; what it throws, the read ends with */
  private read(charge: (bytes: number) => void): Promise<Buffer> {
    const { request } = this;
    return new Promise((resolve, reject) => {
      let first: Buffer | undefined;
      const more: Buffer[] = [];
      let bytes = 0;
      this.breakOffRead = () => {
        reject(brokenOff());
      };
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.byteLength;
        try {
          this.check(bytes);
          charge(bytes);
        } catch (error) {
          request.removeAllListeners('data').resume();
          reject(asAxleError(error));
          return;
        }
        if (first === undefined) first = chunk;
        else more.push(chunk);
      });
      request.on('end', () => {
        this.breakOffRead = undefined;
        if (first === undefined) resolve(nothing);
        else resolve(more.length === 0 ? first : Buffer.concat([first, ...more], bytes));
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
