import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { asAxleError, AxleError } from '@axle/core/internal';

import type { DoorClient, DoorClients, DoorConnection } from '../door-clients.js';
import type { DoorLimits } from '../door-limits.js';
import type { DoorRequest, DoorRequests } from '../door-request.js';
import type { Door } from '../door.js';
import { Pipeline } from './pipeline.js';
import { dropsMore, refuseUnparsed } from './refuse-unparsed.js';
import { Reply } from './reply.js';
import type { FindRoute, Route } from './routes.js';

/** Request line and headers, bytes, and how many headers. */
const headerBytesMax = 16_384;
const headersMax = 128;
const headersMs = 10_000;
/** A connection without a request. */
const idleMs = 65_000;
const authorization = 'authorization';
/** How often slow requests are looked for. */
const checkMsMax = 5000;

/** HTTP on connections that somebody else takes. */
export class HttpDoor implements Door {
  readonly alpn = ['http/1.1'];
  private readonly server: Server;
  private readonly connections = new WeakMap<Socket, DoorConnection>();
  private readonly pipelines = new WeakMap<Duplex, Pipeline>();
  private inFlight = 0;
  private drained: (() => void) | undefined;

  constructor(
    private readonly findRoute: FindRoute,
    private readonly clients: DoorClients,
    private readonly requests: DoorRequests,
    private readonly limits: DoorLimits,
  ) {
    const { requestMs } = limits;
    this.server = createServer({
      maxHeaderSize: headerBytesMax,
      headersTimeout: Math.min(headersMs, requestMs),
      requestTimeout: requestMs,
      keepAliveTimeout: idleMs,
      connectionsCheckingInterval: Math.min(checkMsMax, requestMs / 2),
    });
    // Node would leave out what is more; here it is refused.
    this.server.maxHeadersCount = 0;
    const serve = (request: IncomingMessage, response: ServerResponse) => {
      void this.serve(request, response);
    };
    this.server.on('request', serve);
    // A client that asks whether it may send its body is told when its headers have been looked at.
    this.server.on('checkContinue', serve);
    // What else is expected of a server is not kept, as HTTP allows.
    this.server.on('checkExpectation', serve);
    this.server.on('clientError', (error: NodeJS.ErrnoException, duplex: Duplex) => {
      const stream = duplex as Socket;
      // Each further piece is an error again.
      if (error.code !== 'ECONNRESET' && dropsMore(stream)) return;
      const hasBegun = this.pipelines.get(stream)?.isAnswering === true;
      if (hasBegun || !stream.writable || error.code === 'ECONNRESET') stream.destroy();
      else refuseUnparsed(stream, error);
    });
    // With this, and not by listening itself, it looks after the times of its connections.
    this.server.emit('listening');
  }

  accept(stream: Socket, connection: DoorConnection): void {
    this.connections.set(stream, connection);
    this.pipelines.set(stream, new Pipeline(stream, this.limits));
    this.server.emit('connection', stream);
  }

  drain(): Promise<void> {
    return new Promise((resolve) => {
      this.drained = resolve;
      this.endIfDrained();
    });
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.inFlight += 1;
    const asked = this.begin(request);
    const pipeline = this.pipelineOf(request.socket);
    const reply = new Reply(request, response, asked, this.limits);
    // The only listener: each costs a request as much as a look into its body.
    response.on('close', () => {
      if (!reply.close()) return;
      this.inFlight -= 1;
      pipeline.leave(response);
      asked.end('CANCELLED');
      this.endIfDrained();
    });
    // Not awaited where it need not be: that would cost each request a turn.
    const turn = pipeline.enter(response);
    if (turn !== undefined) await turn;
    if (response.destroyed) return;
    response.shouldKeepAlive &&= this.drained === undefined;
    try {
      checkHeaders(request);
      const route = this.findRoute(request.method ?? '', request.url ?? '');
      asked.op = route.op;
      if (route.forAnyone) this.connectionOf(request.socket).ask();
      const client = route.forAnyone ? undefined : this.admit(request, asked);
      if (this.drained !== undefined) {
        throw AxleError.expected('UNAVAILABLE', 'the server is shutting down; try another one');
      }
      if (asked.trace === undefined) await answer(route, client, reply);
      else await asked.traced(() => answer(route, client, reply));
    } catch (error) {
      reply.fail(asAxleError(error));
    }
  }

  private begin({ headers, socket }: IncomingMessage): DoorRequest {
    return this.requests.begin(this.connectionOf(socket), {
      id: oneOf(headers['x-request-id']),
      traceparent: oneOf(headers['traceparent']),
    });
  }

  private admit({ headers, socket }: IncomingMessage, request: DoorRequest): DoorClient {
    const { authorization, 'axle-tenant': tenant } = headers;
    return this.clients.admit(
      { authorization, tenant: oneOf(tenant) },
      this.connectionOf(socket),
      request,
    );
  }

  private connectionOf(socket: Socket): DoorConnection {
    const connection = this.connections.get(socket);
    if (connection === undefined) throw new Error('a request over a connection that is gone');
    return connection;
  }

  private pipelineOf(socket: Socket): Pipeline {
    const pipeline = this.pipelines.get(socket);
    if (pipeline === undefined) throw new Error('a request over a connection that never came');
    return pipeline;
  }

  private endIfDrained(): void {
    if (this.inFlight === 0) this.drained?.();
  }
}

async function answer(route: Route, client: DoorClient | undefined, reply: Reply): Promise<void> {
  const body = client === undefined ? undefined : await reply.body(client);
  const answered = route.answer({ client: client as DoorClient, body, reply });
  if (answered !== undefined) await answered;
}

/** @throws AxleError INVALID_ARGUMENT */
function checkHeaders({ rawHeaders }: IncomingMessage): void {
  const count = rawHeaders.length / 2;
  if (count > headersMax) {
    throw new AxleError(
      'INVALID_ARGUMENT',
      `the request has ${count} headers; ${headersMax} are the most`,
    );
  }
  // Node gives the first of them, whoever wrote the second.
  let authorizations = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === authorization.length && name.toLowerCase() === authorization) {
      authorizations += 1;
    }
  }
  if (authorizations > 1) {
    throw new AxleError('INVALID_ARGUMENT', 'authorization is there twice; give it once');
  }
}

function oneOf(header: string | readonly string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(', ') : (header as string | undefined);
}
