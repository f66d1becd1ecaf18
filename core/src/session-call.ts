import type { NamedTensor } from './backend.js';
import { Cancellation } from './cancellation.js';
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
  /** Where outputs may be laid; default: nowhere in particular. */
  readonly into?: Uint8Array | undefined;
  /** Outputs stay where they are made. */
  readonly keeps?: boolean | undefined;
};

/** What one call of an op is, from what the caller gave to what the caller gets. */
export interface CallWork<R> {
  /** Validates the input and reads what is to be read. What it throws, the call fails with. */
  prepare(cancellation: Cancellation): CallRequest | Promise<CallRequest>;
  /** Where it is known before that: a call that is refused counts as one of this model. */
  readonly knownModel?: Model | undefined;
  /** Makes the caller's result. */
  shape(outcome: CallOutcome): R;
  /** The call is about to fail while a device uses its memory. */
  used?(): void;
  /** After `used`: no device does any more. */
  released?(): void;
}

/** A call of a session: what dispatch runs, what hears how it ended, and what ends it early. */
export class SessionCall<R> extends Cancellation implements Call, CallListener {
  readonly preference: Preference;
  readonly priority: number;
  readonly deadlineAt: number | undefined;
  /** Undefined = at once. */
  private readAt: number | undefined = undefined;
  private request: CallRequest | undefined = undefined;

  constructor(
    private readonly session: Session,
    options: CallOptions,
    private readonly work: CallWork<R>,
    readonly startedAt: number,
    private readonly resolve: (result: R) => void,
    private readonly reject: (reason: unknown) => void,
  ) {
    const { signal, deadlineMs, priority } = options;
    super(signal, deadlineMs);
    this.preference = preferenceOf(options);
    this.priority = priority ?? 0;
    this.deadlineAt = deadlineMs === undefined ? undefined : startedAt + deadlineMs;
  }

  get cancellation(): Cancellation {
    return this;
  }

  get readyAt(): number {
    return this.readAt ?? this.startedAt;
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

  get into(): Uint8Array | undefined {
    return this.prepared.into;
  }

  get keeps(): boolean | undefined {
    return this.prepared.keeps;
  }

  get tenant(): string {
    return this.session.tenant;
  }

  get weight(): number {
    return this.session.weight;
  }

  start(): void {
    try {
      this.check();
      const request = this.work.prepare(this);
      if (request instanceof Promise) this.dispatchWhenRead(request);
      else this.dispatch(request);
    } catch (error) {
      this.failed(error);
    }
  }

  succeeded(outcome: CallOutcome): void {
    const result = this.work.shape(outcome);
    this.session.runtime.callObserver?.succeeded(this, outcome.report);
    this.resolve(result);
    this.session.end(this);
  }

  failed(reason: unknown, isUsed = false): void {
    if (isUsed) this.work.used?.();
    this.session.end(this);
    this.tellFailed(reason);
    this.reject(reason);
  }

  released(): void {
    this.work.released?.();
  }

  protected override get runsModel(): boolean {
    return (this.request?.model ?? this.work.knownModel) !== undefined;
  }

  private tellFailed(reason: unknown): void {
    const { callObserver } = this.session.runtime;
    if (callObserver === undefined) return;
    if (this.request !== undefined) callObserver.failed(this, reason);
    else if (this.work.knownModel !== undefined) {
      callObserver.refused(this.work.knownModel, reason);
    }
  }

  private get prepared(): CallRequest {
    return this.request as CallRequest;
  }

  private dispatchWhenRead(reading: Promise<CallRequest>): void {
    reading
      .then((request) => {
        this.readAt = this.session.runtime.clock();
        this.dispatch(request);
      })
      .catch((error: unknown) => {
        this.failed(error);
      });
  }

  private dispatch(request: CallRequest): void {
    this.request = request;
    this.session.runtime.callObserver?.began(this);
    this.session.runtime.dispatch.start(this, this);
  }
}
