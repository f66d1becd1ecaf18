import type { NamedTensor } from './backend.js';
import type { Cancellation } from './cancellation.js';
import type { CallOptions } from './client.js';
import type { Call, CallListener, CallOutcome } from './dispatch.js';
import type { Model } from './models/model.js';
import type { Chain } from './plans/chain.js';
import type { Preference } from './plans/router.js';
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

/** A call of a session: what dispatch runs, and what hears how it ended. */
export class SessionCall<R> implements Call, CallListener {
  readonly preference: Preference;
  readonly priority: number;
  readonly deadlineAt: number | undefined;
  readyAt: number;
  private request: CallRequest | undefined = undefined;

  constructor(
    private readonly session: Session,
    options: CallOptions,
    private readonly work: CallWork<R>,
    readonly startedAt: number,
    readonly cancellation: Cancellation,
    private readonly resolve: (result: R) => void,
    private readonly reject: (reason: unknown) => void,
  ) {
    const { deadlineMs, priority } = options;
    this.preference = preferenceOf(options);
    this.priority = priority ?? 0;
    this.deadlineAt = deadlineMs === undefined ? undefined : startedAt + deadlineMs;
    this.readyAt = startedAt;
  }

  get chain(): Chain {
    return this.prepared.chain;
  }

  get model(): Model | undefined {
    return this.prepared.model;
  }

  get inputs(): readonly NamedTensor[] {
    return this.prepared.inputs;
  }

  get outputBytesMax(): number {
    return this.prepared.outputBytesMax ?? this.session.limits.outputBytesMax;
  }

  get tenant(): string {
    return this.session.tenant;
  }

  get weight(): number {
    return this.session.weight;
  }

  start(): void {
    try {
      this.cancellation.check();
      const request = this.work.prepare(this.cancellation);
      if (request instanceof Promise) this.dispatchWhenRead(request);
      else this.dispatch(request);
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

  private get prepared(): CallRequest {
    return this.request as CallRequest;
  }

  private dispatchWhenRead(reading: Promise<CallRequest>): void {
    reading
      .then((request) => {
        this.readyAt = this.session.runtime.clock();
        this.dispatch(request);
      })
      .catch((error: unknown) => {
        this.failed(error);
      });
  }

  private dispatch(request: CallRequest): void {
    this.request = request;
    this.session.runtime.dispatch.start(this, this);
  }
}
