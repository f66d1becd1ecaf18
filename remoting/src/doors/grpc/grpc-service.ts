import type {
  handleUnaryCall,
  ServerUnaryCall,
  ServiceDefinition,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { asAxleError, AxleError } from '@axle/core/internal';

import type { DoorClient } from '../door-clients.js';
import { callerOf, statusOf } from './authentication.js';

/** A service and what answers its methods. */
export interface GrpcService {
  readonly definition: ServiceDefinition;
  readonly handlers: UntypedServiceImplementation;
}

/** A call of a method with one message each way. */
export interface UnaryCall<Q> {
  readonly request: Q;
  readonly caller: DoorClient;
  /** Time from now, milliseconds; undefined: none. */
  readonly deadlineMs: number | undefined;
  /** Told once when nobody waits for the answer any more. */
  onCancelled(listener: (reason: AxleError) => void): void;
}

/** A method for callers who are known. What `answer` rejects with, the call ends with. */
export function unary<Q, R>(answer: (call: UnaryCall<Q>) => Promise<R>): handleUnaryCall<Q, R> {
  return (call, done) => {
    callerOf(call)
      .request.traced(() => answerOf(call, answer))
      .then(
        (reply) => {
          done(null, reply);
        },
        (error: unknown) => {
          done(statusOf(asAxleError(error)));
        },
      );
  };
}

/** A method for anyone, whose answer is there at once. */
export function open<Q, R>(answer: (request: Q) => R): handleUnaryCall<Q, R> {
  return ({ request }, done) => {
    done(null, answer(request));
  };
}

async function answerOf<Q, R>(
  call: ServerUnaryCall<Q, R>,
  answer: (call: UnaryCall<Q>) => Promise<R>,
): Promise<R> {
  const { request } = call;
  let answered = false;
  // What could not be read: a reader that throws would be answered INTERNAL.
  if (request instanceof AxleError) throw request;
  const reply = await answer({
    request,
    caller: callerOf(call),
    deadlineMs: timeLeft(call),
    onCancelled: (listener) => {
      // Every call ends with it.
      call.once('cancelled', () => {
        if (!answered) listener(cancelled());
      });
    },
  });
  answered = true;
  return reply;
}

/** Milliseconds; undefined: none was set. */
export function timeLeft(call: { getDeadline(): Date | number }): number | undefined {
  const deadline = Number(call.getDeadline());
  return deadline === Infinity ? undefined : Math.max(0, deadline - Date.now());
}

export function cancelled(): AxleError {
  return AxleError.expected('CANCELLED', 'the client cancelled the call');
}

/** A reader whose failure is handed on as what it read. */
export function orProblem<T>(read: (message: Buffer) => T): (message: Buffer) => T | AxleError {
  return (message) => {
    try {
      return read(message);
    } catch (error) {
      return asAxleError(error);
    }
  };
}
