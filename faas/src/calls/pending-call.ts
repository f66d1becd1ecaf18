import { AxleError } from 'axle';

import type { CallOutcome, InstanceAnswer, RunningCall } from '../instances/instance.js';
import type { Ticket } from '../scaling/call-queue.js';
import type { FunctionAnswer, FunctionCall } from './function-call.js';
import { detailsOf, ofFunction, withDetails } from './function-failure.js';

/** Who gives calls to instances, as a call sees it. */
export interface CallOwner {
  withdraw(call: PendingCall): void;
  freed(call: PendingCall): void;
}

/** A call from its acceptance until no instance has anything of it. */
export class PendingCall implements CallOutcome {
  /** While it waits. */
  ticket: Ticket<PendingCall> | undefined;
  instance = '';
  hasAnswered = false;
  /** When an instance got it, on the clock of `performance`. */
  beganAt: number | undefined = undefined;
  private running: RunningCall | undefined;
  private queueMs = 0;
  private isColdStart = false;
  private isSettled = false;

  constructor(
    readonly call: FunctionCall,
    readonly acceptedAt: number,
    private readonly owner: CallOwner,
    private readonly resolve: (answer: FunctionAnswer) => void,
    private readonly reject: (reason: unknown) => void,
  ) {
    call.signal.addEventListener('abort', this.onAbort);
  }

  /** @param run gives it to the instance. */
  begin(
    instance: string,
    now: number,
    isColdStart: boolean,
    run: (call: PendingCall) => RunningCall,
  ): void {
    this.instance = instance;
    this.beganAt = now;
    this.queueMs = now - this.acceptedAt;
    this.isColdStart = isColdStart;
    try {
      this.running = run(this);
    } catch (error) {
      // The instance has nothing of it. Later, as all that is told of a call.
      queueMicrotask(() => {
        this.failed(cannotTake(error));
        this.freed();
      });
    }
  }

  answered({ status, headers, body }: InstanceAnswer): void {
    this.hasAnswered = true;
    this.isSettled = true;
    const { instance, queueMs, isColdStart } = this;
    this.resolve({ status, headers, body, instance, queueMs, isColdStart });
  }

  failed(error: unknown): void {
    this.isSettled = true;
    this.call.signal.removeEventListener('abort', this.onAbort);
    this.reject(error);
  }

  freed(): void {
    this.call.signal.removeEventListener('abort', this.onAbort);
    this.owner.freed(this);
  }

  private readonly onAbort = (): void => {
    const { signal } = this.call;
    if (this.running !== undefined) {
      this.running.cancel(signal.reason);
      return;
    }
    if (this.isSettled) return;
    this.owner.withdraw(this);
    this.failed(signal.reason);
  };
}

/** Of calls that a function cannot take now. */
const ofFullQueues = new WeakSet<AxleError>();

/** @param retryAfterMs when a place should be free, by what calls take; undefined: nobody knows */
export function fullQueue(name: string, most: number, retryAfterMs: number | undefined): AxleError {
  const message = `the function ${name} has ${most} calls, as many as it takes at once; call again later`;
  const error = AxleError.expected('RESOURCE_EXHAUSTED', message, { retryAfterMs });
  ofFullQueues.add(error);
  return error;
}

/** Whether a call was refused before it ran: a function may fail with the same code. */
export function isOfFullQueue(error: unknown): boolean {
  return error instanceof AxleError && ofFullQueues.has(error);
}

export function waitedTooLong(name: string, queueMsMax: number): AxleError {
  const message = `no instance of the function ${name} was free for ${queueMsMax} ms; give it more instances, or call again later`;
  return AxleError.expected('DEADLINE_EXCEEDED', message);
}

/** The reason of the last failure, as the reason why a call cannot run. */
export function cannotStart(name: string, reason: AxleError, retryAfterMs: number): AxleError {
  const message = `no instance of the function ${name} runs: ${reason.message}`;
  const { code, retryable } = reason;
  const error = new AxleError(code, message, { cause: reason, retryable, retryAfterMs });
  return withDetails(ofFunction(error, retryable ? 'away' : 'broken'), detailsOf(reason));
}

function cannotTake(error: unknown): AxleError {
  if (error instanceof AxleError) return error;
  const { message } = error as Error;
  return new AxleError('INTERNAL', `the instance cannot take the call: ${message}`, {
    cause: error,
  });
}
