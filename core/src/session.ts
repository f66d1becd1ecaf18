import { argumentError } from './argument-error.js';
import type { LoadedModel } from './backend.js';
import { callChannel, type CallEvent } from './call-channel.js';
import { CallsInFlight } from './calls-in-flight.js';
import type { CallOptions } from './client.js';
import { Cancellation } from './cancellation.js';
import type { Call } from './dispatch.js';
import { AxleError } from './errors.js';
import type { Limits } from './limits.js';
import type { Model } from './models/model.js';
import { OpenedModels } from './models/opened-models.js';
import type { Preference } from './plans/router.js';
import type { Runtime } from './runtime.js';
import { priorityMax } from './scheduling/priority-levels.js';
import { SessionCall, type CallWork } from './session-call.js';
import { continueTrace, type TraceContext } from './trace-context.js';

/**
 * One user of a runtime: its tenant, its limits, the models that it opened, and the calls that it has not been
 * answered. Ending it aborts those.
 */
export class Session {
  private readonly models: OpenedModels;
  private readonly calls = new CallsInFlight();
  /** Calls in flight that go past the session; whoever sends them counts them. */
  directCalls = 0;
  private closed = false;

  constructor(
    readonly runtime: Runtime,
    readonly tenant: string,
    /** Share of device time where tenants compete; counts for tasks from then on. */
    public weight: number,
    readonly limits: Limits,
  ) {
    const { openedModelsMax, openedModelBytesMax } = limits;
    this.models = new OpenedModels(openedModelsMax, openedModelBytesMax, (reference) =>
      runtime.library.read(reference),
    );
  }

  /**
   * Runs `work` as one call: counted, cancellable, under the caller's options, and published on `callChannel`.
   *
   * @throws AxleError FAILED_PRECONDITION after close, RESOURCE_EXHAUSTED with too many calls in flight,
   * INVALID_ARGUMENT for options that are out of range; the signal's reason.
   */
  call<T>(
    op: string,
    options: CallOptions,
    work: (cancellation: Cancellation) => Promise<T>,
  ): Promise<T> {
    return this.published(op, async () => {
      this.checkMayBegin(options);
      const cancellation = new Cancellation(options.signal, options.deadlineMs);
      this.calls.add(cancellation);
      try {
        cancellation.check();
        return await work(cancellation);
      } finally {
        this.end(cancellation);
      }
    });
  }

  /**
   * Runs one call through dispatch, from what the caller gave to what the caller gets. With a `prepare` that does not
   * wait for anything it costs one promise.
   *
   * @throws as `call` and dispatch do.
   */
  execute<R>(op: string, options: CallOptions, work: CallWork<R>): Promise<R> {
    if (!callChannel.hasSubscribers) return this.executeUnseen(options, work);
    return this.published(op, () => this.executeUnseen(options, work));
  }

  private executeUnseen<R>(options: CallOptions, work: CallWork<R>): Promise<R> {
    return new Promise((resolve, reject) => {
      // What it throws, the promise rejects with.
      this.start(options, work, resolve, reject);
    });
  }

  /**
   * As `execute`, for those who need no promise; not published.
   *
   * @returns what ends the call early.
   * @throws AxleError FAILED_PRECONDITION, RESOURCE_EXHAUSTED and INVALID_ARGUMENT as `call`.
   */
  start<R>(
    options: CallOptions,
    work: CallWork<R>,
    resolve: (result: R) => void,
    reject: (reason: unknown) => void,
  ): Cancellation {
    const startedAt = this.runtime.clock();
    this.checkMayBegin(options);
    const call = new SessionCall(this, options, work, startedAt, resolve, reject);
    this.calls.add(call);
    call.start();
    return call;
  }

  /**
   * As `start`, and published where somebody listens: as part of the span that it was asked for in.
   *
   * @param op for subscribers
   * @param from the span of another process
   * @returns what ends the call early; undefined when it did not begin, which `reject` is told of.
   */
  startPublished<R>(
    op: string,
    from: TraceContext | undefined,
    options: CallOptions,
    work: CallWork<R>,
    resolve: (result: R) => void,
    reject: (reason: unknown) => void,
  ): Cancellation | undefined {
    if (!callChannel.hasSubscribers) return this.start(options, work, resolve, reject);
    let cancellation: Cancellation | undefined;
    const begun = () =>
      this.published(
        op,
        () =>
          new Promise<R>((settle, fail) => {
            cancellation = this.start(options, work, settle, fail);
          }),
      );
    continueTrace(from, begun).then(resolve, reject);
    return cancellation;
  }

  private published<T>(op: string, work: () => Promise<T>): Promise<T> {
    if (!callChannel.hasSubscribers) return work();
    const event: CallEvent = { op, tenant: this.tenant };
    return callChannel.tracePromise(work, event);
  }

  /** Calls that may begin now. */
  get callsLeft(): number {
    if (this.closed) return 0;
    return this.limits.callsInFlightMax - this.calls.size - this.directCalls;
  }

  private checkMayBegin(options: CallOptions): void {
    this.checkOpen();
    checkOptions(options);
    if (this.callsLeft <= 0) {
      throw AxleError.expected(
        'RESOURCE_EXHAUSTED',
        `${this.limits.callsInFlightMax} calls of this client are in flight; await some of them first`,
      );
    }
  }

  /** @internal */
  end(cancellation: Cancellation): void {
    this.calls.remove(cancellation);
    cancellation.dispose();
  }

  async prefetch(
    { chain, model }: Pick<Call, 'chain' | 'model'>,
    options: CallOptions,
    cancellation: Cancellation,
  ): Promise<LoadedModel | undefined> {
    const preference = preferenceOf(options);
    return this.runtime.dispatch.prefetch({
      chain,
      model,
      preference,
      cancellation,
      tenant: this.tenant,
    });
  }

  /** The model under this reference if it was read before: the common case costs no promise. */
  knownModel(reference: string | URL): Model | undefined {
    return isReference(reference) ? this.models.known(reference) : undefined;
  }

  /** The model under this reference, read once; a failure is not remembered. */
  async model(reference: string | URL): Promise<Model> {
    if (!isReference(reference)) {
      throw argumentError('model', reference, 'a name, NAME:VERSION, a path or a file URL');
    }
    return this.models.open(reference);
  }

  checkOpen(): void {
    if (this.closed) {
      throw new AxleError('FAILED_PRECONDITION', 'this client is closed; connect again');
    }
  }

  /** Aborts the calls in flight but for `spared`, which run to their end. */
  close(spared: ReadonlySet<Cancellation> = none): void {
    this.closed = true;
    const reason = new AxleError(
      'CANCELLED',
      'the client was closed while this call was in flight',
    );
    this.calls.cancelAll(reason, spared);
  }
}

/** Which devices the caller would have. */
export function preferenceOf({ device, strict }: CallOptions): Preference {
  if (device === undefined && strict === undefined) return noPreference;
  return { device, strict: strict ?? false };
}

/** Others may have the text of a name by chance, such as ['mlp'], or no text at all. */
function isReference(reference: unknown): reference is string | URL {
  return typeof reference === 'string' || reference instanceof URL;
}

const none: ReadonlySet<Cancellation> = new Set();
const noPreference: Preference = { device: undefined, strict: false };

/**
 * Callers in plain JavaScript have no types to tell them.
 *
 * @throws AxleError INVALID_ARGUMENT naming the option.
 */
export function checkOptions(options: CallOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw argumentError('options', options, 'an object, or nothing');
  }
  const { deadlineMs, priority, device, strict, signal } = options;
  if (deadlineMs !== undefined && !(typeof deadlineMs === 'number' && deadlineMs >= 0)) {
    throw argumentError('deadlineMs', deadlineMs, 'a number from 0 up');
  }
  if (
    priority !== undefined &&
    !(Number.isInteger(priority) && Math.abs(priority) <= priorityMax)
  ) {
    throw argumentError(
      'priority',
      priority,
      `a whole number from -${priorityMax} to ${priorityMax}`,
    );
  }
  if (device !== undefined && typeof device !== 'string') {
    throw argumentError('device', device, 'the id of a device, a backend or a kind, as a string');
  }
  if (strict !== undefined && typeof strict !== 'boolean') {
    throw argumentError('strict', strict, 'true or false');
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw argumentError('signal', signal, "an AbortSignal, such as an AbortController's signal");
  }
}
