import type { ServerHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';

import {
  Metadata,
  status,
  ServerInterceptingCall,
  type Responder,
  type StatusObject,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { asAxleError, AxleError, errorCodeOf } from '@axle/core/internal';

import type { DoorClient, DoorClients, DoorConnection } from '../door-clients.js';
import type { Tenant } from '../../trust/tenants.js';
import type { DoorLimits } from '../door-limits.js';
import type { DoorRequest, DoorRequests } from '../door-request.js';
import { grpcStatusOf } from '../status.js';
import { ArrivingMessages, nobody, type MessagePayer } from './arriving-messages.js';
import { bytesOfAnswer, bytesOfMessage, type UnreadAnswers } from './unread-answers.js';

/** Where the sender of a call is kept in its metadata: collecting garbage walks a WeakMap of all calls each time. */
const sender = Symbol('sender');
type SentMetadata = Metadata & { [sender]?: DoorClient };

/** Who made a call, of a method that asks for it: found when its headers came. */
export function callerOf({ metadata }: { readonly metadata: Metadata }): DoorClient {
  const client = (metadata as SentMetadata)[sender];
  if (client === undefined) throw new AxleError('INTERNAL', 'a call whose sender is not known');
  return client;
}

/** Methods that say nothing but that the server is there: load balancers ask without a token. */
const forAnyone: ReadonlySet<string> = new Set([
  '/inference.GRPCInferenceService/ServerLive',
  '/inference.GRPCInferenceService/ServerReady',
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/Watch',
]);

/**
 * Lets calls in by their headers, before any of their messages is read: those of others get no further. The first message
 * then has to come within a time.
 *
 * @param connectionOf over which a call came, by the port of its peer as grpc-js has it
 */
export function authentication(
  clients: DoorClients,
  requests: DoorRequests,
  { requestMs, messageBytesMax }: DoorLimits,
  connectionOf: (port: number | undefined) => GrpcConnection,
): ServerInterceptor {
  return (method, call) => {
    let timer: NodeJS.Timeout | undefined;
    let isHere = false;
    const { remotePort } = call.getConnectionInfo();
    const { connection, unread } = connectionOf(remotePort);
    let request: DoorRequest | undefined;
    const arriving = new ArrivingMessages(streamOf(call), messageBytesMax);
    watchStatus(call, arriving, () => request);
    const intercepted = new AnsweringCall(call, unread, () => request, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, pass) => {
            request = requests.begin(connection, {
              id: first(metadata, 'x-request-id'),
              traceparent: first(metadata, 'traceparent'),
            });
            request.op = method.path.slice(method.path.lastIndexOf('/') + 1);
            const { givenId } = request;
            if (givenId !== undefined) intercepted.echo(givenId);
            let payer = nobody;
            try {
              if (forAnyone.has(method.path)) connection.ask();
              else payer = admit(metadata, request);
            } catch (error) {
              call.sendStatus(statusOf(asAxleError(error)));
              return;
            }
            arriving.watch(payer, (reason) => {
              call.sendStatus(statusOf(reason));
            });
            timer = setTimeout(() => {
              // What has arrived meanwhile, this process was too slow for: it is read first.
              setImmediate(() => {
                if (!isHere) call.sendStatus(statusOf(tooSlow(requestMs)));
              });
            }, requestMs);
            pass(metadata);
          },
          onReceiveMessage: (message: unknown, pass) => {
            isHere = true;
            clearTimeout(timer);
            arriving.handedOn();
            if (request?.isToldOf === true) request.bytesIn += bytesOfMessage(message);
            pass(message);
          },
          onReceiveHalfClose: (pass) => {
            isHere = true;
            clearTimeout(timer);
            pass();
          },
          onCancel: () => {
            isHere = true;
            clearTimeout(timer);
            intercepted.forget();
            request?.end('CANCELLED');
          },
        });
      },
    });
    const admit = (metadata: Metadata, asked: DoorRequest): MessagePayer => {
      const authorization = one(metadata, 'authorization');
      const tenant = one(metadata, 'axle-tenant');
      const client = clients.admit({ authorization, tenant }, connection, asked);
      (metadata as SentMetadata)[sender] = client;
      intercepted.tenant = client.tenant;
      return payerOf(client);
    };
    return intercepted;
  };
}

/** A connection as its calls see it. */
export interface GrpcConnection {
  readonly connection: DoorConnection;
  readonly unread: UnreadAnswers;
}

type InnerCall = ConstructorParameters<typeof ServerInterceptingCall>[0];

/**
 * Notes how a call ends, whoever ends it: grpc-js itself refuses messages that are too long, and calls that are late, and
 * says of none whether it is worth another try.
 */
function watchStatus(
  call: InnerCall,
  arriving: ArrivingMessages,
  requestOf: () => DoorRequest | undefined,
): void {
  const sendStatus = call.sendStatus.bind(call);
  const send = (sent: Parameters<typeof sendStatus>[0]) => {
    arriving.endBy(() => {
      sendStatus(sent);
    });
  };
  call.sendStatus = (sent) => {
    const request = requestOf();
    const { code: number, details = '' } = sent;
    if (number === status.OK) {
      request?.end('OK');
      send(sent);
      return;
    }
    const code = errorCodeOf(Number(number));
    request?.end(code, details);
    const metadata = sent.metadata?.clone() ?? new Metadata();
    // What grpc-js has no room for, it has none for the next time.
    const retryable = code !== 'RESOURCE_EXHAUSTED' && new AxleError(code, '').retryable;
    if (metadata.get('axle-retryable').length === 0) {
      metadata.set('axle-retryable', String(retryable));
    }
    if (request !== undefined) metadata.set('x-request-id', request.givenId ?? request.id);
    send({ ...sent, metadata });
  };
}

/** The stream of HTTP/2 beneath a call, which grpc-js has and does not declare: interceptors see whole messages only. */
function streamOf(call: InnerCall): ServerHttp2Stream {
  const { stream } = call as unknown as { readonly stream?: ServerHttp2Stream };
  if (stream instanceof Duplex) return stream;
  throw new Error('a call of grpc-js whose stream is not where it was');
}

function payerOf({ tenant: { usage } }: DoorClient): MessagePayer {
  return {
    take: (bytes) => {
      usage.take('requestBytes', bytes);
    },
    give: (bytes) => {
      usage.give('requestBytes', bytes);
    },
  };
}

/** A call whose answers count until the client has taken them. */
class AnsweringCall extends ServerInterceptingCall {
  /** Who pays for answers that wait; undefined: nobody is known. */
  tenant: Tenant | undefined;
  private waiting = 0;
  private echoed: string | undefined;

  constructor(
    private readonly inner: InnerCall,
    private readonly unread: UnreadAnswers,
    private readonly requestOf: () => DoorRequest | undefined,
    responder: Responder,
  ) {
    super(inner, responder);
  }

  /** The client gets back the id that it gave. */
  echo(id: string): void {
    this.echoed = id;
  }

  override sendMetadata(metadata: Metadata): void {
    if (this.echoed !== undefined) metadata.set('x-request-id', this.echoed);
    super.sendMetadata(metadata);
  }

  override sendMessage(message: unknown, sent: () => void): void {
    const bytes = bytesOfAnswer(message);
    const request = this.requestOf();
    if (request !== undefined) request.bytesOut += bytes;
    try {
      this.take(bytes);
    } catch (error) {
      this.inner.sendStatus(statusOf(asAxleError(error)));
      return;
    }
    super.sendMessage(message, () => {
      if (this.waiting > 0) {
        this.give(bytes);
      }
      sent();
    });
  }

  /** The client has given the call up. */
  forget(): void {
    this.give(this.waiting);
  }

  private take(bytes: number): void {
    this.unread.add(bytes);
    try {
      this.tenant?.usage.take('answerBytes', bytes);
    } catch (error) {
      this.unread.remove(bytes);
      throw error;
    }
    this.waiting += bytes;
  }

  private give(bytes: number): void {
    this.waiting -= bytes;
    this.unread.remove(bytes);
    this.tenant?.usage.give('answerBytes', bytes);
  }
}

function first(metadata: Metadata, key: string): string | undefined {
  const [value] = metadata.get(key);
  return value === undefined ? undefined : String(value);
}

function one(metadata: Metadata, key: string): string | undefined {
  const [value, another] = metadata.get(key);
  if (another === undefined) return value === undefined ? undefined : String(value);
  throw AxleError.expected('UNAUTHENTICATED', `the call has more than one ${key}; give one`);
}

/** How a call ends that failed. */
export function statusOf(error: AxleError): StatusObject {
  const metadata = new Metadata();
  metadata.set('axle-retryable', String(error.retryable));
  const { earliestMs, retryAfterMs } = error;
  if (earliestMs !== undefined) metadata.set('axle-earliest-ms', String(Math.ceil(earliestMs)));
  if (retryAfterMs !== undefined) {
    metadata.set('axle-retry-after-ms', String(Math.ceil(retryAfterMs)));
  }
  return { code: grpcStatusOf(error), details: error.message, metadata };
}

function tooSlow(requestMs: number): AxleError {
  return AxleError.expected(
    'DEADLINE_EXCEEDED',
    `the message of the call was not there within ${requestMs} ms; send it at once`,
  );
}
