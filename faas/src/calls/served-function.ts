import { AxleError } from 'axle';

import { asAxleError } from '../as-axle-error.js';
import type { Deployment } from '../functions/deployment.js';
import type { Instance, InstanceProvider, InstanceSpec, LogLine } from '../instances/instance.js';
import { FunctionScale, type ScaleReport } from '../scaling/function-scale.js';
import type { FunctionAnswer, FunctionCall } from './function-call.js';
import {
  cannotStart,
  fullQueue,
  PendingCall,
  waitedTooLong,
  type CallOwner,
} from './pending-call.js';

/** What is needed to run functions, and is not in their deployments. */
export interface FunctionSurroundings {
  readonly provider: InstanceProvider;
  /** What an instance of the deployment is started with; asked for each. @throws AxleError: the start fails by it. */
  readonly prepare: (
    deployment: Deployment,
  ) => Promise<Pick<InstanceSpec, 'bundle' | 'secrets' | 'pool'>>;
  /** Lets the pool load models while an instance boots. */
  readonly prefetch: (deployment: Deployment, models: readonly string[]) => void;
  readonly log: (functionName: string, line: LogLine) => void;
  /** Told of starts that fail. */
  readonly failed: (error: unknown, what: string) => void;
  /** For which a call waits for an instance at most, milliseconds. */
  readonly queueMsMax: number;
  /** After which an instance is replaced, milliseconds. */
  readonly ageMsMax: number;
  /** An instance has ended whose bundle is not what is deployed any more. */
  readonly leftBundle: () => void;
}

export interface FunctionReport extends ScaleReport {
  /** Calls that were accepted. */
  readonly invocationCount: number;
  /** Of all instances together, where it is known. */
  readonly memoryBytes: number;
  /** Processors that their processes kept busy of late, where it is known. */
  readonly cpus: number;
  /** Why the last instance of what is deployed now did not start; undefined: it did, or none was needed yet. */
  readonly failure: StartFailure | undefined;
}

export interface StartFailure {
  readonly code: AxleError['code'];
  readonly message: string;
  readonly at: Date;
}

interface StartedInstance {
  readonly instance: Instance;
  readyAt: number;
}

/** Of the last call in the average of what they take. */
const callMsShare = 0.2;

/** Longest that a Node timer waits, milliseconds. */
const timerMsMax = 2 ** 31 - 1;

/** One deployed function: its instances, and the calls that wait for them. */
export class ServedFunction implements CallOwner {
  private readonly scale: FunctionScale<PendingCall>;
  private readonly instances = new Map<string, StartedInstance>();
  private readonly stopping = new Set<Promise<void>>();
  /** Of each instance, from before its start until it is gone. */
  private readonly bundleIds = new Map<string, string>();
  private invocations = 0;
  private startFailure: StartFailure | undefined;
  private lastFailure = new AxleError('UNAVAILABLE', 'none was started yet');
  /** What a call takes once an instance has it, on the average of late. */
  private callMs: number | undefined = undefined;
  private timer: NodeJS.Timeout | undefined;
  private timerAt = Infinity;
  private isClosed = false;

  constructor(
    private deployment: Deployment,
    private readonly surroundings: FunctionSurroundings,
    /** Numbers of instances up to it were given before. */
    private started: number,
  ) {
    const { queueMsMax, ageMsMax } = surroundings;
    this.scale = new FunctionScale({ ...deployment, queueMsMax, ageMsMax });
    this.advance(performance.now());
  }

  update(deployment: Deployment): void {
    const { queueMsMax, ageMsMax } = this.surroundings;
    if (deployment.generation !== this.deployment.generation) this.startFailure = undefined;
    this.deployment = deployment;
    this.scale.update({ ...deployment, queueMsMax, ageMsMax });
    this.advance(performance.now());
  }

  invoke(call: FunctionCall): Promise<FunctionAnswer> {
    return new Promise((resolve, reject) => {
      call.signal.throwIfAborted();
      const now = performance.now();
      const pending = new PendingCall(call, now, this, resolve, reject);
      const offered = this.scale.offer(pending, now);
      if (typeof offered === 'string') {
        pending.failed(this.refusal(offered, now));
        return;
      }
      this.invocations += 1;
      pending.ticket = offered;
      this.advance(now);
    });
  }

  /**
   * So many instances from now on, within its least and most, until load decides again.
   *
   * @returns how many.
   */
  ask(replicas: number): number {
    const now = performance.now();
    const within = this.scale.ask(replicas, now);
    this.advance(now);
    return within;
  }

  /** What kept it from starting may be gone. */
  retry(): void {
    this.scale.retry();
    this.advance(performance.now());
  }

  report(): FunctionReport {
    let [memoryBytes, cpus] = [0, 0];
    for (const { instance } of this.instances.values()) {
      memoryBytes += instance.usage?.memoryBytes ?? 0;
      cpus += instance.usage?.cpus ?? 0;
    }
    const { invocations: invocationCount, startFailure: failure } = this;
    return { ...this.scale.report(), invocationCount, memoryBytes, cpus, failure };
  }

  /** The highest number that an instance had. */
  get startedCount(): number {
    return this.started;
  }

  /** Whose files an instance has, or is about to have. */
  get usedBundles(): Iterable<string> {
    return this.bundleIds.values();
  }

  withdraw({ ticket }: PendingCall): void {
    if (ticket !== undefined) this.scale.withdraw(ticket);
  }

  freed({ instance, hasAnswered, beganAt }: PendingCall): void {
    const now = performance.now();
    if (beganAt !== undefined && hasAnswered) this.noteCall(now - beganAt);
    this.scale.freed(instance, hasAnswered, now);
    this.advance(now);
  }

  /** Ends all instances; calls have so long, milliseconds, to end before. Those that wait fail with the reason. */
  async close(graceMs: number, reason: AxleError): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.timer);
    for (const pending of this.scale.dropWaiting()) pending.failed(reason);
    for (const id of this.instances.keys()) this.stop(id, graceMs);
    await Promise.all(this.stopping);
  }

  /** Does what follows from what is known now. */
  private advance(now: number): void {
    if (this.isClosed) return;
    const { scale } = this;
    for (;;) {
      const assigned = scale.next(now);
      if (assigned === undefined) break;
      const started = this.instances.get(assigned.instance) as StartedInstance;
      const { instance, readyAt } = started;
      const pending = assigned.call;
      const isColdStart = readyAt > pending.acceptedAt;
      pending.begin(instance.id, now, isColdStart, (call) => instance.invoke(call.call, call));
    }
    const { start, stop } = scale.changes(now);
    for (let i = 0; i < start; i++) this.start();
    for (const id of stop) this.stop(id, 0);
    this.failStranded(now);
    this.watch(now);
  }

  private failStranded(now: number): void {
    const { name } = this.deployment;
    const { calls, why } = this.scale.strandedCalls(now);
    for (const pending of calls) {
      const isLate = why === 'late';
      pending.failed(
        isLate ? waitedTooLong(name, this.surroundings.queueMsMax) : this.refusal('failing', now),
      );
    }
  }

  private refusal(why: 'full' | 'failing', now: number): AxleError {
    const { name, scaling } = this.deployment;
    if (why === 'failing') return cannotStart(name, this.lastFailure, this.scale.retryInMs(now));
    return fullQueue(name, scaling.inFlightMax + scaling.queueMax, this.placeFreeInMs);
  }

  /** As often as those that run end; undefined: none did yet. */
  private get placeFreeInMs(): number | undefined {
    const { callMs } = this;
    return callMs === undefined ? undefined : callMs / Math.max(1, this.scale.report().running);
  }

  private noteCall(ms: number): void {
    const { callMs } = this;
    this.callMs = callMs === undefined ? ms : callMs + callMsShare * (ms - callMs);
  }

  private start(): void {
    const { deployment } = this;
    this.started += 1;
    const id = `${deployment.name}.${deployment.generation}.${this.started}`;
    this.scale.started(id, performance.now());
    this.bundleIds.set(id, deployment.bundleId);
    void this.boot(id, deployment);
  }

  private async boot(id: string, deployment: Deployment): Promise<void> {
    const { provider, prepare, prefetch, log } = this.surroundings;
    try {
      const prepared = await prepare(deployment);
      if (this.isClosed) {
        this.forgetBundle(id);
        return;
      }
      const { models } = prepared.bundle.manifest;
      if (models.length > 0) prefetch(deployment, models);
      const instance = provider.start(
        { id, deployment, ...prepared },
        {
          log: (line) => {
            log(deployment.name, line);
          },
          deaf: (isDeaf) => {
            this.scale.setDeaf(id, isDeaf);
            if (!isDeaf) this.advance(performance.now());
          },
          retire: (reason) => {
            const text = `(retired: ${reason.message})`;
            log(deployment.name, { instance: id, at: new Date(), text });
            if (this.isClosed) return;
            this.lastFailure = reason;
            const now = performance.now();
            this.scale.retire(id, now);
            this.advance(now);
          },
          ended: (reason) => {
            this.instances.delete(id);
            this.gone(id, reason);
          },
        },
      );
      const started = { instance, readyAt: Infinity };
      this.instances.set(id, started);
      await instance.ready;
      const now = performance.now();
      started.readyAt = now;
      if (this.isPresent(deployment)) this.startFailure = undefined;
      this.scale.isReady(id, now);
      this.advance(now);
    } catch (error) {
      this.surroundings.failed(error, `the start of ${id}`);
      this.notStarted(id, deployment, asAxleError(error));
    }
  }

  private isPresent({ generation }: Deployment): boolean {
    return generation === this.deployment.generation;
  }

  private notStarted(id: string, deployment: Deployment, reason: AxleError): void {
    const { code, message } = reason;
    const at = new Date();
    if (this.isPresent(deployment) && !this.isClosed) this.startFailure = { code, message, at };
    const text = `(did not start: ${message})`;
    if (!this.instances.has(id)) this.surroundings.log(deployment.name, { instance: id, at, text });
    this.gone(id, reason);
  }

  private forgetBundle(id: string): void {
    const bundleId = this.bundleIds.get(id);
    this.bundleIds.delete(id);
    const isOld = bundleId !== this.deployment.bundleId || this.isClosed;
    if (bundleId !== undefined && isOld) this.surroundings.leftBundle();
  }

  private gone(id: string, reason: AxleError): void {
    this.lastFailure = reason;
    // One that did not start may not have ended yet.
    if (!this.instances.has(id)) this.forgetBundle(id);
    const now = performance.now();
    this.scale.ended(id, now, reason.retryable ? 'ended' : 'broken');
    this.advance(now);
  }

  private stop(id: string, graceMs: number): void {
    const stopped = this.instances.get(id)?.instance.stop(graceMs);
    if (stopped === undefined) return;
    this.stopping.add(stopped);
    void stopped.finally(() => this.stopping.delete(stopped));
  }

  private watch(now: number): void {
    const at = this.scale.nextAt(now);
    if (at >= this.timerAt) return;
    clearTimeout(this.timer);
    this.timerAt = at;
    const ms = Math.min(timerMsMax, Math.max(1, Math.ceil(at - now)));
    this.timer = setTimeout(() => {
      this.timerAt = Infinity;
      this.advance(performance.now());
    }, ms).unref();
  }
}
