import type { Cancellation } from './cancellation.js';
import type { CallOptions } from './client.js';
import type { Call, CallListener, CallOutcome } from './dispatch.js';
import { preferenceOf, type Session } from './session.js';

/** What dispatch is asked for; the session adds the rest. */
export type CallRequest = Pick<Call, 'chain' | 'model' | 'inputs'> & {
  /** Default: the session's limit. */
  readonly outputBytesMax?: number;
};

/** What one call of an op is, from what the caller gave to what the caller gets. */
export interface CallWork<R> {
  /** Validates the input and reads what is to be read. What it throws, the call fails with. */
  prepare(cancellation: Cancellation): CallRequest | Promise<CallRequest>;
  /** Makes the caller's result. */
  shape(outcome: CallOutcome): R;
}

/** A call of a session on its way through dispatch. */
export class SessionCall<R> implements CallListener {
  constructor(
    private readonly session: Session,
    private readonly options: CallOptions,
    private readonly work: CallWork<R>,
    private readonly startedAt: number,
    private readonly cancellation: Cancellation,
    private readonly resolve: (result: R) => void,
    private readonly reject: (reason: unknown) => void,
  ) {}

  start(): void {
    try {
      this.cancellation.check();
      const request = this.work.prepare(this.cancellation);
      if (request instanceof Promise) this.startWhenRead(request);
      else this.dispatch(request, this.startedAt);
    } catch (error) {
      this.failed(error);
    }
  }

  succeeded(outcome: CallOutcome): void {
    this.resolve(this.work.shape(outcome));
    this.session.end(this.cancellation);
  }

  failed(reason: unknown): void {
    this.session.end(this.cancellation);
    this.reject(reason);
  }

  private startWhenRead(reading: Promise<CallRequest>): void {
    reading
      .then((request) => {
        this.dispatch(request, this.session.runtime.clock());
      })
      .catch((error: unknown) => {
        this.failed(error);
      });
  }

  private dispatch(request: CallRequest, readyAt: number): void {
    const { session, options, startedAt } = this;
    const { deadlineMs } = options;
    const call: Call = {
      chain: request.chain,
      model: request.model,
      inputs: request.inputs,
      outputBytesMax: request.outputBytesMax ?? session.limits.outputBytesMax,
      preference: preferenceOf(options),
      priority: options.priority ?? 0,
      deadlineAt: deadlineMs === undefined ? undefined : startedAt + deadlineMs,
      tenant: session.tenant,
      weight: session.weight,
      cancellation: this.cancellation,
      startedAt,
      readyAt,
    };
    session.runtime.dispatch.start(call, this);
  }
}
