import type { Deployment } from '../functions/deployment.js';
import { CallQueue, type Ticket } from './call-queue.js';
import { CallRate, rateWindowMs } from './call-rate.js';
import { StartBackoff } from './start-backoff.js';

/** What of a deployment decides how many instances there are. */
export type ScaleSettings = Pick<Deployment, 'generation' | 'concurrency' | 'scaling'> & {
  /** For which a call waits at most, milliseconds. */
  readonly queueMsMax: number;
  /** After which an instance is replaced, milliseconds: what it was started with, such as its token, is not good for ever. */
  readonly ageMsMax: number;
};

/** `full`: as many wait as may. `failing`: no instance runs, and what the last start failed by does not go by itself. */
export type Offered<C> = Ticket<C> | 'full' | 'failing';

/** Why an instance ended. `broken`: the next one will end by the same, such as a handler that cannot be loaded. */
export type InstanceEnd = 'ended' | 'broken';

/** A call and the instance that takes it. */
export interface Assignment<C> {
  readonly call: C;
  readonly instance: string;
}

export interface ScaleChanges {
  /** Of the present generation. */
  readonly start: number;
  /** These have no calls, and get none. */
  readonly stop: readonly string[];
}

export interface ScaleReport {
  /** All but those that are stopped. */
  readonly instances: number;
  readonly ready: number;
  /** Of the ready ones, those of the present generation. */
  readonly updated: number;
  readonly running: number;
  readonly waiting: number;
}

interface ScaledInstance {
  readonly id: string;
  generation: number;
  state: 'starting' | 'ready' | 'draining';
  calls: number;
  readonly startedAt: number;
  /** It may be stuck: it gets no calls. */
  isDeaf: boolean;
  readyAt: number;
  /** Since when it has no calls. */
  idleSince: number;
  hasAnswered: boolean;
  /** Fewer were asked for while it started: it is not kept for its idle time. */
  isUnwanted: boolean;
  /** Its end is counted, or is no failure: it was not needed any more. */
  isJudged: boolean;
}

/** Instances of a function that start at once: more would only slow each other down. */
const startsAtOnceMax = 4;
/** Of an instance that is to be replaced: older than any that a deployment has. */
const agedGeneration = -1;
/** One that lived so long, milliseconds, or answered a call, did not fail by ending. */
const goodMs = 5000;

const nothingToDo: ScaleChanges = { start: 0, stop: [] };

/**
 * Decides for one function how many instances there are and which call goes to which. Pure: what happens goes in with
 * the time, milliseconds on a clock that never goes back.
 *
 * Calls go to the first instances that the load asks for, the least loaded of them first, so that the others are free of
 * calls and end after their idle time. Instances of an older generation, and those past their age, serve until one of the
 * present one is ready, and leave one by one as more are. No instance with a call is stopped.
 */
export class FunctionScale<C> {
  private readonly queue = new CallQueue<C>();
  private readonly rate = new CallRate();
  private readonly backoff = new StartBackoff();
  private readonly instances = new Map<string, ScaledInstance>();
  /** Those that take calls: of the newest generation first, and then the oldest. */
  private ready: ScaledInstance[] = [];
  private stoppable: string[] = [];
  private running = 0;
  private lastCallAt = -Infinity;
  /** So many instances at least, for the idle time: somebody asked for them. */
  private asked = { replicas: 0, until: -Infinity };
  private isBroken = false;
  /** When the last start that failed began: calls that came before it have waited for it in vain. */
  private failedStartAt = -Infinity;

  constructor(private settings: ScaleSettings) {}

  update(settings: ScaleSettings): void {
    // What could not start before may now.
    if (settings.generation !== this.settings.generation) this.retry();
    this.settings = settings;
  }

  /** When the next start may be tried, milliseconds from `now`. */
  retryInMs(now: number): number {
    return Math.max(0, this.backoff.retryAt - now);
  }

  /** What kept instances from starting may be gone: the next is tried at once. */
  retry(): void {
    this.backoff.reset();
    this.isBroken = false;
  }

  /**
   * So many instances now, within `min` and `max`: for the idle time, as if calls had asked for them; then load decides
   * again. Of those that are more, the ones without calls end.
   *
   * @returns how many.
   */
  ask(replicas: number, now: number): number {
    const { min, max, idleMs } = this.settings.scaling;
    const within = Math.min(max, Math.max(min, replicas));
    this.asked = { replicas: within, until: now + idleMs };
    const desired = this.desired(now);
    for (const instance of this.ready.slice(desired))
      if (instance.calls === 0) this.release(instance);
    let room = desired - this.ready.length;
    for (const instance of this.instances.values()) {
      if (instance.state !== 'starting') continue;
      instance.isUnwanted = room <= 0;
      room -= 1;
    }
    return within;
  }

  /** The caller of a ticket asks `next` for what is to run. */
  offer(call: C, now: number): Offered<C> {
    const { inFlightMax, queueMax } = this.settings.scaling;
    if (this.running + this.queue.size >= inFlightMax + queueMax) return 'full';
    // Otherwise it waits for the next start: that of a function that crashed is tried again soon.
    if (this.isBroken && !this.canServe && now < this.backoff.retryAt) return 'failing';
    this.lastCallAt = now;
    if (this.settings.scaling.by === 'rate') this.rate.count(now);
    return this.queue.push(call, now);
  }

  /** @returns whether the call still waited; it does not any more. */
  withdraw(ticket: Ticket<C>): boolean {
    return this.queue.leave(ticket);
  }

  /** The call that goes next, if it can; it runs until `freed`. */
  next(now: number): Assignment<C> | undefined {
    if (this.running >= this.settings.scaling.inFlightMax) return undefined;
    const ticket = this.queue.oldest();
    if (ticket === undefined) return undefined;
    const instance = this.pick(now);
    if (instance === undefined) return undefined;
    const call = ticket.call as C;
    this.queue.leave(ticket);
    instance.calls += 1;
    this.running += 1;
    return { call, instance: instance.id };
  }

  /** An instance has nothing of one of its calls any more. */
  freed(id: string, hasAnswered: boolean, now: number): void {
    const instance = this.instances.get(id);
    this.running -= 1;
    if (instance === undefined) return;
    instance.calls -= 1;
    if (hasAnswered && !instance.hasAnswered) {
      instance.hasAnswered = true;
      if (instance.generation === this.settings.generation) this.retry();
    }
    if (instance.calls > 0) return;
    instance.idleSince = now;
    if (instance.state === 'draining') this.stoppable.push(id);
  }

  /** An instance of the present generation is started, as `changes` said. */
  started(id: string, now: number): void {
    const { generation } = this.settings;
    const never = { readyAt: Infinity, idleSince: Infinity };
    const begun = {
      calls: 0,
      startedAt: now,
      isDeaf: false,
      hasAnswered: false,
      isUnwanted: false,
      isJudged: false,
    };
    this.instances.set(id, { id, generation, state: 'starting', ...never, ...begun });
  }

  isReady(id: string, now: number): void {
    const instance = this.instances.get(id);
    if (instance?.state !== 'starting') return;
    instance.state = 'ready';
    instance.readyAt = now;
    instance.idleSince = now;
    this.ready.push(instance);
    this.sortReady();
    if (instance.isUnwanted && this.ready.length > this.desired(now)) this.release(instance);
  }

  /** Until it hears again, an instance gets no calls. */
  setDeaf(id: string, isDeaf: boolean): void {
    const instance = this.instances.get(id);
    if (instance !== undefined) instance.isDeaf = isDeaf;
  }

  /** By itself: it gets no more calls, and is to be stopped when it has none. */
  retire(id: string, now: number): void {
    const instance = this.instances.get(id);
    if (instance === undefined || instance.state === 'draining') return;
    this.judge(instance, now);
    this.drain(instance);
  }

  private drain(instance: ScaledInstance): void {
    instance.state = 'draining';
    this.ready = this.ready.filter((each) => each !== instance);
    if (instance.calls === 0) this.stoppable.push(instance.id);
  }

  /** It is gone, or was never there. Its calls are still to be `freed`. */
  ended(id: string, now: number, how: InstanceEnd = 'ended'): void {
    const instance = this.instances.get(id);
    if (instance === undefined) return;
    this.instances.delete(id);
    this.ready = this.ready.filter((each) => each !== instance);
    this.judge(instance, now, how);
  }

  /** Whether the next may be started at once, now that one ends by itself. */
  private judge(instance: ScaledInstance, now: number, how: InstanceEnd = 'ended'): void {
    const { isJudged, generation, hasAnswered, readyAt, startedAt } = instance;
    if (isJudged || generation !== this.settings.generation) return;
    instance.isJudged = true;
    const wasGood = hasAnswered || now - readyAt >= goodMs;
    if (wasGood) {
      this.retry();
      return;
    }
    this.backoff.failed(now);
    // One that took calls can be started, whatever it ended by.
    const didNotStart = readyAt === Infinity;
    this.isBroken = didNotStart && how === 'broken';
    if (didNotStart) this.failedStartAt = Math.max(this.failedStartAt, startedAt);
  }

  /** Calls that nobody will take: they have waited too long, or no instance runs and the one that was started for them failed. */
  strandedCalls(now: number): { readonly calls: C[]; readonly why: 'late' | 'failing' } {
    const isFailing = !this.canServe && now < this.backoff.retryAt;
    const failedBefore = this.isBroken ? Infinity : this.failedStartAt;
    const calls: C[] = [];
    for (;;) {
      const ticket = this.queue.oldest();
      if (ticket === undefined) break;
      const waitedInVain = isFailing && ticket.offeredAt <= failedBefore;
      if (!waitedInVain && ticket.offeredAt + this.settings.queueMsMax > now) break;
      calls.push(ticket.call as C);
      this.queue.leave(ticket);
    }
    return { calls, why: isFailing ? 'failing' : 'late' };
  }

  /** Takes out all that wait. */
  dropWaiting(): C[] {
    const calls: C[] = [];
    for (let ticket = this.queue.oldest(); ticket !== undefined; ticket = this.queue.oldest()) {
      calls.push(ticket.call as C);
      this.queue.leave(ticket);
    }
    return calls;
  }

  /** What is to be started and stopped now. Whoever starts says `started` for each. */
  changes(now: number): ScaleChanges {
    this.age(now);
    const desired = this.desired(now);
    this.drainOld(desired);
    this.drainIdle(desired, now);
    const start = this.missing(desired, now);
    if (start === 0 && this.stoppable.length === 0) return nothingToDo;
    const stop = this.stoppable;
    this.stoppable = [];
    return { start, stop };
  }

  /** When something is to be done though nothing happens; Infinity: never. */
  nextAt(now: number): number {
    const { idleMs, toZero, by } = this.settings.scaling;
    let at = (this.queue.oldest()?.offeredAt ?? Infinity) + this.settings.queueMsMax;
    const later = (time: number): void => {
      if (time > now && time < at) at = time;
    };
    if (this.missingUnlimited(this.desired(now)) > 0) later(this.backoff.retryAt);
    later(this.asked.until);
    for (const { calls, idleSince, readyAt, generation } of this.ready) {
      if (calls === 0) later(idleSince + idleMs);
      if (generation !== agedGeneration) later(readyAt + this.settings.ageMsMax);
    }
    if (this.ready.length > 0 && toZero) later(this.lastCallAt + idleMs);
    if (this.ready.length > 0 && by === 'rate') later(this.lastCallAt + rateWindowMs + 1000);
    return at;
  }

  report(): ScaleReport {
    const instances = this.instances.size - this.countOf('draining');
    const { running, ready } = this;
    const { generation } = this.settings;
    const updated = ready.filter((each) => each.generation === generation).length;
    return { instances, ready: ready.length, updated, running, waiting: this.queue.size };
  }

  /** Instances that the load asks for. */
  private desired(now: number): number {
    const { scaling, concurrency } = this.settings;
    const { min, max, by, target, toZero, idleMs } = scaling;
    const demand = this.running + this.queue.size;
    const isAwake = demand > 0 || !toZero || now - this.lastCallAt < idleMs;
    const atOnce = by === 'concurrency' ? Math.min(target, concurrency) : concurrency;
    let load = Math.ceil(Math.min(demand, scaling.inFlightMax) / atOnce);
    if (by === 'rate') load = Math.max(load, Math.ceil(this.rate.perSecond(now) / target));
    const asked = now < this.asked.until ? this.asked.replicas : 0;
    return Math.min(max, Math.max(load, asked, isAwake ? Math.max(1, min) : 0));
  }

  private get canServe(): boolean {
    return this.ready.length > 0 || this.countOf('starting') > 0;
  }

  private pick(now: number): ScaledInstance | undefined {
    const { concurrency } = this.settings;
    const desired = this.desired(now);
    let best: ScaledInstance | undefined;
    for (let at = 0; at < this.ready.length; at++) {
      if (at >= desired && best !== undefined) break;
      const instance = this.ready[at] as ScaledInstance;
      if (instance.isDeaf || instance.calls >= concurrency) continue;
      if (best === undefined || instance.calls < best.calls) best = instance;
    }
    return best;
  }

  private missing(desired: number, now: number): number {
    const wanted = this.missingUnlimited(desired);
    if (wanted === 0 || now < this.backoff.retryAt) return 0;
    const starting = this.countOf('starting');
    // After a failure one is tried, and no more until it has shown that it can answer.
    const atOnce = this.backoff.isFailing ? 1 : startsAtOnceMax;
    return Math.max(0, Math.min(wanted, atOnce - starting));
  }

  private missingUnlimited(desired: number): number {
    const demand = this.running + this.queue.size;
    // One that fails is tried again when a call asks for it, or where it is to be there without one.
    if (demand === 0 && this.backoff.isFailing && this.settings.scaling.toZero) return 0;
    let present = 0;
    for (const { generation, state } of this.instances.values()) {
      if (generation === this.settings.generation && state !== 'draining') present += 1;
    }
    return Math.max(0, desired - present);
  }

  private age(now: number): void {
    const old = this.ready.filter(
      ({ generation, readyAt }) =>
        generation !== agedGeneration && readyAt + this.settings.ageMsMax <= now,
    );
    if (old.length === 0) return;
    for (const instance of old) instance.generation = agedGeneration;
    this.sortReady();
  }

  /** Stable: of one generation, the oldest stay first. */
  private sortReady(): void {
    this.ready.sort((a, b) => b.generation - a.generation);
  }

  /** Those of older generations leave as those of the present one are ready. */
  private drainOld(desired: number): void {
    const { generation } = this.settings;
    const present = this.ready.filter((each) => each.generation === generation).length;
    if (present === 0 || present === this.ready.length) return;
    const old = this.ready.slice(present);
    const staying = Math.max(0, desired - present);
    for (const instance of old.slice(staying)) this.release(instance);
  }

  private drainIdle(desired: number, now: number): void {
    const { idleMs, max } = this.settings.scaling;
    for (let at = this.ready.length - 1; at >= desired; at--) {
      const instance = this.ready[at] as ScaledInstance;
      const isIdle = instance.calls === 0 && instance.idleSince + idleMs <= now;
      if (isIdle || at >= max) this.release(instance);
    }
  }

  private release(instance: ScaledInstance): void {
    instance.isJudged = true;
    this.drain(instance);
  }

  private countOf(state: ScaledInstance['state']): number {
    let count = 0;
    for (const instance of this.instances.values()) if (instance.state === state) count += 1;
    return count;
  }
}
