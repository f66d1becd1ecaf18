import type { HttpClient, HttpReply } from '@axle/remoting/client';

import { FileError, oneLine, UsageError } from '../failure.js';
import { printable } from '../printable.js';
import { readPrometheusText, type Samples } from './prometheus-text.js';

/** As Triton's. */
const defaultPort = 8002;
export const defaultMetricsUrl = `http://127.0.0.1:${defaultPort}`;

/** Of one answer. */
const bodyBytesMax = 32 * 1024 * 1024;
/** Without a byte, milliseconds. */
const silentMsMax = 10_000;

/** Where a server tells of itself, and what to show there. */
export class MetricsDoor {
  private constructor(
    readonly url: string,
    private readonly http: HttpClient,
    private readonly messageIn: (body: string) => string,
  ) {}

  /**
   * @param url `http://HOST:PORT`, `https://HOST:PORT` or `http+unix:/PATH`, as `axle serve --metrics` prints it
   * @throws UsageError for what is no such URL; AxleError for a token that everyone could read on its way.
   */
  static async open(url: string): Promise<MetricsDoor> {
    const { HttpClient, messageIn, readCredentials, urlEndpoint } =
      await import('@axle/remoting/client');
    const place = urlEndpoint(url, { http: defaultPort }, ['', '/', '/metrics']);
    if (place === undefined) throw noUrl();
    const { hello, tls } = await readCredentials({}, place.endpoint);
    const token = Buffer.from(hello.token).toString('utf8');
    const http = new HttpClient(place.endpoint, tls, token, {
      silentMsMax,
      bodyBytesMax,
      keepAlive: false,
    });
    return new MetricsDoor(url, http, messageIn);
  }

  /** @throws FileError when there is no answer, or none with metrics; the reason of `signal`. */
  async read(signal: AbortSignal): Promise<Samples> {
    const reply = await this.ask(signal);
    if (reply.status !== 200) throw this.refusal(reply);
    return readPrometheusText(reply.body);
  }

  close(): void {
    this.http.close();
  }

  private async ask(signal: AbortSignal): Promise<HttpReply> {
    try {
      return await this.http.send({ method: 'GET', path: '/metrics', signal });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new FileError(
        'UNAVAILABLE',
        `cannot read ${this.url}: ${oneLine(error)}; start a server with axle serve --metrics, or give its URL`,
        { cause: error },
      );
    }
  }

  private refusal({ status, body }: HttpReply): FileError {
    const code = status === 401 ? 'UNAUTHENTICATED' : 'PERMISSION_DENIED';
    const said = printable(this.messageIn(body));
    return new FileError(
      status === 401 || status === 403 ? code : 'UNAVAILABLE',
      `${this.url} answers ${status}${said === '' ? '' : `: ${said}`}`,
    );
  }
}

/** Not quoted: it may hold a secret. */
function noUrl(): UsageError {
  return new UsageError(
    'that is no URL of metrics; give http://HOST:8002, https://HOST:8002 or http+unix:/PATH, and a token by AXLE_TOKEN',
  );
}
