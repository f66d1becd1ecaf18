import { Agent as HttpAgent, request as requestHttp, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';

import { AxleError } from '@axle/core/internal';

import type { ClientTls } from '../client/credentials.js';
import type { Endpoint } from '../endpoint.js';

/** Of an answer whose body is kept, unless the client is given another limit. */
export const bodyBytesMaxDefault = 16 * 1024 * 1024;
const msPerSecond = 1000;
/** Of a server's message that is shown. */
const messageCharactersMax = 300;

export interface HttpClientOptions {
  /** A connection that says nothing for so long is given up, milliseconds; undefined: never. */
  readonly silentMsMax?: number;
  /** Of an answer whose body is kept. */
  readonly bodyBytesMax?: number;
  /** Whether connections serve further requests; default true. One that rests for long may be closed as it is used. */
  readonly keepAlive?: boolean;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Uint8Array;
  /** Of an answer of status 200 only the bytes are counted; of any other the body is kept. */
  readonly isCounted?: boolean;
  readonly signal?: AbortSignal;
}

export interface HttpReply {
  readonly status: number;
  /** What the server calls the failure, as Axle's do. */
  readonly code: string | undefined;
  readonly bytes: number;
  /** '' of an answer that was only counted. */
  readonly body: string;
}

/** One caller of a server that speaks HTTP, with a connection for each request that is outstanding. */
export class HttpClient {
  private readonly agent: HttpAgent;
  private readonly options: RequestOptions;
  private readonly request: typeof requestHttp;
  private readonly silentMsMax: number | undefined;
  private readonly bodyBytesMax: number;

  /** @param token '' for none */
  constructor(
    endpoint: Endpoint,
    { ca, cert, key }: Partial<Pick<ClientTls, 'ca' | 'cert' | 'key'>>,
    token: string,
    { silentMsMax, bodyBytesMax = bodyBytesMaxDefault, keepAlive = true }: HttpClientOptions = {},
  ) {
    const isTls = endpoint.kind === 'tls';
    this.request = isTls ? requestHttps : requestHttp;
    this.agent = isTls
      ? new HttpsAgent({ keepAlive, ca, cert, key })
      : new HttpAgent({ keepAlive });
    const place =
      endpoint.kind === 'unix'
        ? { socketPath: endpoint.path }
        : { host: endpoint.host, port: endpoint.port };
    const headers = token === '' ? {} : { authorization: `Bearer ${token}` };
    this.options = { ...place, agent: this.agent, headers };
    this.silentMsMax = silentMsMax;
    this.bodyBytesMax = bodyBytesMax;
  }

  /** @throws AxleError UNAVAILABLE without a whole answer; RESOURCE_EXHAUSTED past the limit of a body; the reason of `signal`. */
  send({
    method,
    path,
    headers,
    body,
    isCounted = false,
    signal,
  }: HttpRequest): Promise<HttpReply> {
    const { options, silentMsMax, bodyBytesMax } = this;
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        reject(signal?.aborted === true ? (signal.reason as Error) : failureOf(error));
      };
      const sent = this.request({
        ...options,
        method,
        path,
        headers: { ...options.headers, ...headers, 'content-length': body?.byteLength ?? 0 },
        signal,
        timeout: silentMsMax,
      });
      sent.on('error', fail);
      sent.on('timeout', () =>
        sent.destroy(new Error(`it said nothing for ${(silentMsMax ?? 0) / msPerSecond} s`)),
      );
      sent.on('response', (response) => {
        const { statusCode: status = 0 } = response;
        const isKept = !isCounted || status !== 200;
        const pieces: Buffer[] = [];
        let bytes = 0;
        response.on('data', (piece: Buffer) => {
          bytes += piece.byteLength;
          if (!isKept) return;
          if (bytes <= bodyBytesMax) pieces.push(piece);
          else response.destroy(tooLong(bodyBytesMax));
        });
        response.on('error', fail);
        response.on('end', () => {
          const code = response.headers['axle-code'];
          resolve({
            status,
            code: code === undefined ? undefined : String(code),
            bytes,
            body: Buffer.concat(pieces).toString('utf8'),
          });
        });
      });
      sent.end(body);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}

/** What a server says in the form of KServe, `{"error": TEXT}`, cut to a line's length; '' where it says nothing so. */
export function messageIn(body: string): string {
  try {
    const { error } = JSON.parse(body) as { readonly error?: unknown };
    return typeof error === 'string' ? error.slice(0, messageCharactersMax) : '';
  } catch {
    // Whoever it is does not speak that form.
    return '';
  }
}

function failureOf(error: Error): AxleError {
  if (error instanceof AxleError) return error;
  // Of an address that has several, the reasons are in a list.
  const { message, code = '' } = error as NodeJS.ErrnoException;
  return new AxleError('UNAVAILABLE', `the server does not answer: ${message || code}`, {
    cause: error,
  });
}

function tooLong(bytes: number): AxleError {
  return new AxleError('RESOURCE_EXHAUSTED', `the server answers more than ${bytes} bytes`, {
    retryable: false,
  });
}
