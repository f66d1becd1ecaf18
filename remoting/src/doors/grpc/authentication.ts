import {
  Metadata,
  ServerInterceptingCall,
  type Responder,
  type StatusObject,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { asAxleError, AxleError } from '@axle/core/internal';

import type { DoorClient, DoorClients, DoorConnection } from '../door-clients.js';
import type { DoorLimits } from '../door-limits.js';
import { grpcStatusOf } from '../status.js';
import { bytesOfAnswer, type UnreadAnswers } from './unread-answers.js';

const clientOf = new WeakMap<Metadata, DoorClient>();

/** Who made a call, of a method that asks for it: found when its headers came. */
export function callerOf({ metadata }: { readonly metadata: Metadata }): DoorClient {
  const client = clientOf.get(metadata);
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
  { requestMs }: DoorLimits,
  connectionOf: (port: number | undefined) => GrpcConnection,
): ServerInterceptor {
  return (method, call) => {
    let timer: NodeJS.Timeout | undefined;
    let isHere = false;
    const { remotePort } = call.getConnectionInfo();
    const { unread } = connectionOf(remotePort);
    const intercepted = new AnsweringCall(call, unread, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, pass) => {
            try {
              if (!forAnyone.has(method.path)) clientOf.set(metadata, admit(metadata));
            } catch (error) {
              call.sendStatus(statusOf(asAxleError(error)));
              return;
            }
            timer = setTimeout(() => {
              // What has arrived meanwhile, this process was too slow for: it is read first.
              setImmediate(() => {
                if (!isHere) call.sendStatus(statusOf(tooSlow(requestMs)));
              });
            }, requestMs);
            pass(metadata);
          },
          onReceiveMessage: (message, pass) => {
            isHere = true;
            clearTimeout(timer);
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
          },
        });
      },
    });
    const admit = (metadata: Metadata) => {
      const { connection } = connectionOf(remotePort);
      const authorization = one(metadata, 'authorization');
      return clients.admit({ authorization, tenant: one(metadata, 'axle-tenant') }, connection);
    };
    return intercepted;
  };
}

/** A connection as its calls see it. */
export interface GrpcConnection {
  readonly connection: DoorConnection;
  readonly unread: UnreadAnswers;
}

/** A call whose answers count until the client has taken them. */
class AnsweringCall extends ServerInterceptingCall {
  private waiting = 0;

  constructor(
    private readonly inner: ConstructorParameters<typeof ServerInterceptingCall>[0],
    private readonly unread: UnreadAnswers,
    responder: Responder,
  ) {
    super(inner, responder);
  }

  override sendMessage(message: unknown, sent: () => void): void {
    const bytes = bytesOfAnswer(message);
    try {
      this.unread.add(bytes);
    } catch (error) {
      this.inner.sendStatus(statusOf(asAxleError(error)));
      return;
    }
    this.waiting += bytes;
    super.sendMessage(message, () => {
      if (this.waiting > 0) {
        this.waiting -= bytes;
        this.unread.remove(bytes);
      }
      sent();
    });
  }

  /** The client has given the call up. */
  forget(): void {
    this.unread.remove(this.waiting);
    this.waiting = 0;
  }
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
  return { code: grpcStatusOf(error), details: error.message, metadata };
}

function tooSlow(requestMs: number): AxleError {
  return AxleError.expected(
    'DEADLINE_EXCEEDED',
    `the message of the call was not there within ${requestMs} ms; send it at once`,
  );
}
