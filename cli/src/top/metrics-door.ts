import { request as requestHttp, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import { text } from 'node:stream/consumers';
import { Transform } from 'node:stream';

import { FileError, UsageError } from '../failure.js';
import { printable } from '../printable.js';
import { readPrometheusText, type Samples } from './prometheus-text.js';

export const defaultMetricsUrl = 'http://127.0.0.1:8002';

/** Of one answer. */
const bodyBytesMax = 32 * 1024 * 1024;
/** Of a message of the server that is shown. */
const messageCharactersMax = 300;
/** Without a byte, milliseconds. */
const silentMsMax = 10_000;

/** Where a server tells of itself, and what to show there. */
export class MetricsDoor {
  private constructor(
    readonly url: string,
    private readonly options: RequestOptions,
    private readonly isTls: boolean,
  ) {}

  /**
   * @param url `http://HOST:PORT`, `https://HOST:PORT` or `http+unix:/PATH`, as `axle serve --metrics` prints it
   * @throws UsageError for what is no such URL; AxleError for a token that everyone could read on its way.
   */
  static async open(url: string): Promise<MetricsDoor> {
    const place = placeOf(url);
    const { readCredentials } = await import('@axle/remoting');
    const { hello, tls } = await readCredentials({}, place.endpoint);
    const token = Buffer.from(hello.token).toString('utf8');
    const headers = token === '' ? {} : { authorization: `Bearer ${token}` };
    const { ca, cert, key } = tls;
    const options = { path: '/metrics', headers, agent: false, timeout: silentMsMax } as const;
    return new MetricsDoor(
      url,
      { ...options, ...place.options, ...{ ca, cert, key } },
      place.endpoint.kind === 'tls',
    );
  }

  /** @throws FileError when there is no answer, or none with metrics; the reason of `signal`. */
  async read(signal: AbortSignal): Promise<Samples> {
    const response = await this.ask(signal);
    const body = await this.bodyOf(response);
    if (response.statusCode !== 200) throw this.refusal(response.statusCode ?? 0, body);
    return readPrometheusText(body);
  }

  private ask(signal: AbortSignal): Promise<IncomingMessage> {
    const request = this.isTls ? requestHttps : requestHttp;
    return new Promise((resolve, reject) => {
      const asked = request({ ...this.options, signal }, resolve);
      asked.on('timeout', () => asked.destroy(new Error(`no answer in ${silentMsMax / 1000} s`)));
      asked.on('error', (error) => {
        reject(signal.aborted ? (signal.reason as Error) : this.unreachable(error));
      });
      asked.end();
    });
  }

  private async bodyOf(response: IncomingMessage): Promise<string> {
    let bytes = 0;
    const bounded = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        bytes += chunk.byteLength;
        if (bytes <= bodyBytesMax) done(null, chunk);
        else done(new Error(`it answers more than ${bodyBytesMax} bytes`));
      },
    });
    response.on('error', (error) => bounded.destroy(error));
    bounded.on('error', () => response.destroy());
    try {
      return await text(response.pipe(bounded));
    } catch (error) {
      throw this.unreachable(error as Error);
    }
  }

  private refusal(status: number, body: string): FileError {
    const code = status === 401 ? 'UNAUTHENTICATED' : 'PERMISSION_DENIED';
    const said = printable(messageIn(body).slice(0, messageCharactersMax));
    return new FileError(
      status === 401 || status === 403 ? code : 'UNAVAILABLE',
      `${this.url} answers ${status}${said === '' ? '' : `: ${said}`}`,
    );
  }

  private unreachable(error: Error): FileError {
    // Of an address that has several, the reasons are in a list.
    const { message, code = '' } = error as NodeJS.ErrnoException;
    return new FileError(
      'UNAVAILABLE',
      `cannot read ${this.url}: ${message || code}; start a server with axle serve --metrics, or give its URL`,
      { cause: error },
    );
  }
}

interface Place {
  readonly options: RequestOptions;
  readonly endpoint:
    | { readonly kind: 'unix'; readonly path: string }
    | { readonly kind: 'tcp' | 'tls'; readonly host: string; readonly port: number };
}

function placeOf(text: string): Place {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.username !== '' || url.password !== '') throw noUrl();
  if (url.protocol === 'http+unix:' && url.host === '' && url.pathname.startsWith('/')) {
    const path = decodeURIComponent(url.pathname);
    return { options: { socketPath: path }, endpoint: { kind: 'unix', path } };
  }
  const isTls = url.protocol === 'https:';
  if ((!isTls && url.protocol !== 'http:') || !['/', '/metrics'].includes(url.pathname)) {
    throw noUrl();
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? defaultPortOf(isTls) : Number(url.port);
  return { options: { host, port }, endpoint: { kind: isTls ? 'tls' : 'tcp', host, port } };
}

function defaultPortOf(isTls: boolean): number {
  return isTls ? 443 : 80;
}

/** Not quoted: it may hold a secret. */
function noUrl(): UsageError {
  return new UsageError(
    'that is no URL of metrics; give http://HOST:8002, https://HOST:8002 or http+unix:/PATH, and a token by AXLE_TOKEN',
  );
}

function messageIn(body: string): string {
  try {
    const { error } = JSON.parse(body) as { readonly error?: unknown };
    return typeof error === 'string' ? error : '';
  } catch {
    // Whoever it is, it is no door of Axle.
    return '';
  }
}
