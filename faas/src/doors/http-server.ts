import { once } from 'node:events';
import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

import { AxleError } from 'axle';

import { headerBytesMax, headersMax, headersMs, idleMs, requestMs } from './door-limits.js';
import { sendError, type Exchange, type Handler } from './exchange.js';
import type { FailureLog } from './failure-log.js';
import { connectionsRoom } from './open-files.js';

export interface Address {
  readonly host: string;
  readonly port: number;
}

const statuses: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

const idleSweepMs = 50;
const pathShownMax = 200;

/** HTTP/1.1 on a port, with limits on what a client may send and how slowly. */
export class HttpServer {
  private drains = false;

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  /**
   * @param failed told of each error and its request
   * @throws AxleError FAILED_PRECONDITION where it cannot listen.
   */
  static async listen(
    { host, port }: Address,
    handle: Handler,
    failed: FailureLog,
  ): Promise<HttpServer> {
    const server = createServer({
      maxHeaderSize: headerBytesMax,
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      keepAliveTimeout: idleMs,
    });
    // Node would leave out what is more; here it is refused.
    server.maxHeadersCount = 0;
    server.maxConnections = connectionsRoom();
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) =>
      refuse(socket, error),
    );
    server.listen({ host, port });
    try {
      await once(server, 'listening');
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      const reason = code === 'EADDRINUSE' ? 'something else listens there' : code;
      throw new AxleError('FAILED_PRECONDITION', `cannot listen on ${host}:${port}: ${reason}`, {
        cause: error,
      });
    }
    const { port: actual } = server.address() as AddressInfo;
    const http = new HttpServer(
      server,
      `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    );
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void http.serve(request, response, handle, failed);
    });
    return http;
  }

  /** New requests are refused, connections end with their answers. Settles when all have, or the time is over. */
  async close(graceMs: number): Promise<void> {
    this.drains = true;
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeIdleConnections();
    const timer = setTimeout(() => this.server.closeAllConnections(), graceMs);
    // Those that had a request until now.
    const sweep = setInterval(() => this.server.closeIdleConnections(), idleSweepMs);
    await closed;
    clearInterval(sweep);
    clearTimeout(timer);
  }

  private async serve(
    request: IncomingMessage,
    response: ServerResponse,
    handle: Handler,
    failed: FailureLog,
  ): Promise<void> {
    const url = targetOf(request);
    const at = url.indexOf('?');
    const exchange: Exchange = {
      request,
      response,
      path: at < 0 ? url : url.slice(0, at),
      query: at < 0 ? '' : url.slice(at + 1),
    };
    try {
      if (this.drains) {
        response.shouldKeepAlive = false;
        throw AxleError.expected('UNAVAILABLE', 'the front end is shutting down; try again');
      }
      if (request.rawHeaders.length > 2 * headersMax) {
        throw new AxleError('INVALID_ARGUMENT', `the request has more than ${headersMax} headers`);
      }
      await handle(exchange);
    } catch (error) {
      failed(error, `${request.method ?? ''} ${exchange.path.slice(0, pathShownMax)}`);
      sendError(exchange, error);
    }
  }
}

/** Path and query. A client that takes this for a proxy gives the whole URL (RFC 9112, 3.2.2). */
function targetOf({ url = '' }: IncomingMessage): string {
  const authority = /^https?:\/\/[^/?#]*/i.exec(url);
  if (authority === null) return url;
  const rest = url.slice(authority[0].length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** Answers what is no request, or did not come in time, and ends the connection: where the next one begins nobody knows. */
function refuse(socket: Duplex, { code = '' }: NodeJS.ErrnoException): void {
  if (!socket.writable || code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status = statuses[code] ?? 400;
  const text = `${STATUS_CODES[status] ?? ''}\n`;
  const head = `HTTP/1.1 ${status} ${text.trim()}\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: ${text.length}`;
  socket.end(`${head}\r\n\r\n${text}`, () => socket.destroy());
}
