import { performance } from 'node:perf_hooks';

import {
  asAxleError,
  AxleError,
  hasFlag,
  isOfDevice,
  lateAdvice,
  sameRange,
  type BackendTask,
  type ConnectOptions,
  type LoadedModel,
  type OfferedOp,
  type Preference,
  type TaskOutcome,
} from '@axle/core/internal';

import { freeLabel } from '../relay/server-label.js';
import type { SourceOn } from '../relay/upstream.js';
import { Attempt } from './attempt.js';
import { Chooser } from './chooser.js';
import type { FarDevice } from './far-device.js';
import { Member, type MemberListener } from './member.js';
import { HedgeBudget } from './hedge-budget.js';
import { LateTasks } from './late-tasks.js';
import type { ModelFit } from './placement.js';
import { Drains } from './drains.js';
import { Moves, type Move, type MoveReport } from './moves.js';
import { PoolShares } from './pool-shares.js';
import { PooledDevice } from './pooled-device.js';
import { PoolTask } from './pool-task.js';
import { Replicas } from './replicas.js';
import { TaskKinds } from './task-kind.js';

/** How long tasks wait for a server when there is none, milliseconds. */
export const waitMsDefault = 30_000;
/** How often it is looked whether they have waited for too long, milliseconds. */
const expiryMs = 250;
/** Of these looks, every so many it is seen to the copies of models. */
const replicasEvery = 4;
/** Servers that may be lost while they have a task: it may be what ends them. */
const lossesMax = 3;
/** No task is sent a second time sooner, milliseconds. */
const hedgeMsMin = 5;

/** What another server may do better: it has room, or works. */
const elsewhereCodes: ReadonlySet<string> = new Set([
  'UNAVAILABLE',
  'INTERNAL',
  'UNKNOWN',
  'RESOURCE_EXHAUSTED',
]);

export interface PoolOptions {
  readonly servers: readonly URL[];
  /** Of these, as `href`, those that get nothing. */
  readonly drained: ReadonlySet<string>;
  readonly connect: ConnectOptions;
  readonly actsForTenants: boolean;
  readonly sourceOn: SourceOn;
  readonly fit: ModelFit;
  readonly random: () => number;
  /** A server came, or went; of one that was emptied, how. */
  readonly onChange: (member: Member, move?: MoveReport) => void;
  /** A server cannot be reached, or lets the pool not in. */
  readonly onSought: (member: Member, reason: AxleError) => void;
  /** It does not let a tenant in, whose tasks go to others. */
  readonly onRefused: (member: Member, tenant: string, reason: AxleError) => void;
  /** There are more kinds of devices, or servers offer more, than was known. */
  readonly onGrown: () => void;
}

/** What happened in a pool so far. */
export interface PoolCounts {
  /** Tasks that were sent a second time because the first answer was late. */
  readonly hedges: number;
  /** Of these and of rescues, those whose second answer was first. */
  readonly hedgesWon: number;
  /** Tasks that were sent a second time because nothing came back from their device. */
  readonly rescues: number;
  /** Attempts that failed, or whose server was lost, and that went on elsewhere. */
  readonly moves: number;
  /** Tasks that no server could have done by their deadlines. */
  readonly refusals: number;
  /** Devices that were left alone for a while, being far slower than others or stuck. */
  readonly ejections: number;
  /** Models that were loaded on one more server, as those that had it were busy with it. */
  readonly replicas: number;
}

/** The servers of a pool, and the tasks that are under way on them. */
export class Pool implements MemberListener {
  readonly members: Member[] = [];
  /** What core sees: a device for each kind that any of the servers has. */
  devices: readonly PooledDevice[] = [];
  readonly kinds = new TaskKinds();
  /** For a server to be there. */
  private readonly waiting = new Set<PoolTask>();
  private readonly waitMs: number;
  private readonly timer: NodeJS.Timeout;
  private isClosed = false;
  private readonly whenUp: (() => void)[] = [];
  private readonly chooser: Chooser;
  private readonly hedges = new HedgeBudget();
  private readonly shares = new PoolShares<FarDevice>();
  readonly moves = new Moves(() => performance.now());
  private readonly drains: Drains;
  private readonly replicas: Replicas;
  private looks = 0;
  private readonly late = new LateTasks<PoolTask>((task) => {
    this.hedgeLate(task);
  });
  private readonly counted = { hedges: 0, hedgesWon: 0, rescues: 0, moves: 0, refusals: 0 };

  constructor(private readonly options: PoolOptions) {
    this.chooser = new Chooser({ ...options, clock: () => performance.now() }, this.kinds);
    this.waitMs = options.connect.reconnect?.timeoutMs ?? waitMsDefault;
    this.drains = new Drains(this, this.chooser, this.moves);
    this.replicas = new Replicas(this.chooser, {
      clock: () => performance.now(),
      onFailure: (place, _, error) => {
        this.chooser.failed(place, error);
      },
    });
    for (const url of options.servers) {
      const member = this.add(url);
      if (options.drained.has(url.href)) member.rest();
    }
    this.timer = setInterval(() => {
      this.expire();
      this.rescueFromStuck();
      this.looks += 1;
      if (this.looks % replicasEvery === 0) this.replicas.look(this.devices);
    }, expiryMs).unref();
  }

  /**
   * Takes new servers in, empties those that are to be, and lets those go that are not named any more, when they have
   * answered what they have.
   */
  setServers(urls: readonly URL[], drained: ReadonlySet<string>): void {
    if (this.isClosed) return;
    const wanted = new Set(urls.map(({ href }) => href));
    for (const member of [...this.members]) {
      const { href } = member.url;
      if (member.isRetired) continue;
      if (!wanted.delete(href)) void this.drains.empty(member, 'go');
      else if (drained.has(href)) void this.drains.empty(member, 'rest');
      else this.drains.resume(member);
    }
    for (const url of urls) {
      if (!wanted.has(url.href)) continue;
      const member = this.add(url);
      if (drained.has(url.href)) member.rest();
    }
  }

  get hasServer(): boolean {
    return this.members.some(({ state }) => state === 'up');
  }

  /** Settles when a server is up; the caller bounds it. */
  async serverUp(): Promise<void> {
    if (this.hasServer) return;
    await new Promise<void>((resolve) => {
      this.whenUp.push(resolve);
    });
  }

  submit(pooled: PooledDevice, op: OfferedOp, task: BackendTask): void {
    const isRepeatable = hasFlag(op.flags, 'PURE') || hasFlag(op.flags, 'IDEMPOTENT');
    const kind = this.kinds.of(op, task.model);
    const pooledTask = new PoolTask(task, pooled, op, kind, isRepeatable, this.late);
    task.backendData = pooledTask;
    this.hedges.earn();
    const now = performance.now();
    if (!this.refuseIfLate(pooledTask)) this.start(pooledTask, now);
  }

  get counts(): PoolCounts {
    const { ejections } = this.chooser.outliers;
    return { ...this.counted, ejections, replicas: this.replicas.made };
  }

  /** Why the tasks of a device go elsewhere though its server is up; undefined: they do not. */
  passedOver(device: FarDevice): string | undefined {
    return this.chooser.reason(device);
  }

  cancel(task: PoolTask): void {
    task.isCancelled = true;
    if (this.waiting.delete(task)) {
      task.fail(AxleError.expected('CANCELLED', 'the call was cancelled while it waited'), true);
      return;
    }
    for (const attempt of task.attempts) attempt.cancel();
  }

  /**
   * Where work of a tenant goes that is no task.
   *
   * @throws AxleError UNAVAILABLE where no server has what it takes.
   */
  placeFor(
    pooled: PooledDevice,
    op: OfferedOp,
    tenant: string,
    model: LoadedModel | undefined,
    preference?: Preference,
  ): FarDevice {
    const kind = this.kinds.of(op, model);
    const wanted = {
      pooled,
      op,
      tenant,
      kind,
      model,
      bytes: 0,
      preference,
      tried: new Set<never>(),
    };
    const found = this.chooser.choose(wanted);
    if (found === undefined) throw this.nowhere(pooled);
    return found;
  }

  memberUp(member: Member, tenant: string): void {
    if (tenant === '') {
      this.options.onChange(member);
      this.moves.end(member.label);
      this.takeDevicesIn();
      for (const resolve of this.whenUp.splice(0)) resolve();
    }
    for (const task of [...this.waiting]) {
      this.waiting.delete(task);
      task.forgetTried();
      this.start(task, performance.now());
    }
  }

  memberLost(member: Member, tenant: string): void {
    if (this.isClosed) return;
    if (tenant === '') {
      this.moves.begin(member.label, this.reasonOf(member));
      this.options.onChange(member);
    }
    const now = performance.now();
    for (const device of member.devices) {
      // Another run of the server has to load them.
      if (tenant === '' && member.state === 'lost') {
        device.forgetLoaded();
        this.kinds.forget(device);
      }
      for (const attempt of [...device.attempts]) {
        if (!member.takes(attempt.tenant, now) && attempt.mayMove) this.move(attempt);
      }
    }
  }

  memberSought(member: Member, reason: AxleError): void {
    this.options.onSought(member, reason);
  }

  memberRefused(member: Member, tenant: string, reason: AxleError): void {
    this.options.onRefused(member, tenant, reason);
  }

  memberDrained(member: Member): void {
    for (const device of this.devices) device.refresh();
    this.options.onChange(member, this.moves.end(member.label));
  }

  memberGone(member: Member): void {
    const at = this.members.indexOf(member);
    if (at >= 0) this.members.splice(at, 1);
    this.options.onChange(member, this.moves.end(member.label));
    for (const device of this.devices) device.refresh();
    for (const device of member.devices) {
      this.kinds.forget(device);
      this.chooser.outliers.forget(device);
      this.shares.forget(device);
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearInterval(this.timer);
    this.late.close();
    for (const task of this.waiting) {
      task.fail(new AxleError('CANCELLED', 'the client was closed'), true);
    }
    this.waiting.clear();
    await Promise.all(this.members.map((member) => member.close()));
  }

  /** Makes a device of each kind that servers have by now. */
  takeDevicesIn(): void {
    for (const device of this.devices) device.refresh();
    const known = new Set(this.devices.map(({ pooledKind }) => pooledKind));
    for (const { kind, device } of this.members.flatMap(({ devices }) => devices)) {
      if (known.has(kind)) continue;
      known.add(kind);
      const made = new PooledDevice(kind, this.devices.length, device, this.members);
      this.devices = [...this.devices, made];
    }
    this.options.onGrown();
  }

  private reasonOf({ isRetired, isResting, state }: Member): Move['reason'] {
    if (state === 'lost') return 'loss';
    return isRetired || isResting ? 'drain' : 'leave';
  }

  private add(url: URL): Member {
    const { connect, actsForTenants, sourceOn } = this.options;
    const label = freeLabel(url, new Set(this.members.map((member) => member.label)));
    const member = new Member({ url, label, connect, actsForTenants, sourceOn }, this);
    this.members.push(member);
    return member;
  }

  /** Sends the task where it should be done soonest, or lets it wait for a server. */
  private start(task: PoolTask, now: number): void {
    const target = this.chooser.choose(task, now);
    if (target === undefined) this.wait(task);
    else this.attempt(task, target, now);
  }

  private attempt(task: PoolTask, target: FarDevice, now: number): void {
    const { model } = task.task;
    task.noteTried(target);
    this.chooser.entering(target);
    const expectedMs = task.kind.expectedMs(target, task.bytes);
    const attempt = new Attempt(
      task,
      target,
      model && target.modelOf(model, task.tenant, now),
      expectedMs,
      expectedMs + target.waitMs(now),
      now,
      this.shares,
      this.done,
    );
    task.began(attempt);
    if (task.attempts.length === 1) this.hedgeWhenLate(task, now);
    try {
      const upstream = target.member.of(task.tenant, now);
      const elsewhereMs = this.shares.takeUntold(target.kind, target, task.tenant);
      if (elsewhereMs > 0) upstream.chargeElsewhere(target.device, elsewhereMs);
      upstream.submit(target.device, attempt);
    } catch (error) {
      // Not before whoever has submitted it knows of it.
      queueMicrotask(() => {
        attempt.settle({ ok: false, error: asAxleError(error), neverBegan: true });
      });
    }
  }

  private readonly done = (attempt: Attempt, outcome: TaskOutcome): void => {
    const { owner: task, target } = attempt;
    task.ended(attempt);
    if (!outcome.ok) {
      this.failed(attempt, outcome.error, outcome.neverBegan === true);
      return;
    }
    const { transferMs, computeMs, batchSize } = outcome.timing;
    const deviceMs = computeMs / Math.max(1, batchSize);
    const tookMs = transferMs + deviceMs;
    const now = performance.now();
    this.shares.used(target.kind, target, task.tenant, deviceMs);
    this.tellShares(target.kind, task.tenant, now);
    target.lastDoneAt = now;
    target.finished += 1;
    if (attempt.model !== undefined) {
      target.noteLoaded(attempt.model.source);
      this.replicas.note(attempt.model, computeMs / Math.max(1, batchSize));
    }
    task.kind.observe(target, task.bytes, tookMs, now - attempt.startedAt);
    this.chooser.succeeded(target, task.kind, task.pooled.all.length);
    if (attempt.isSpare && task.attempts.length > 0) {
      this.counted.hedgesWon += 1;
      for (const late of task.attempts) this.chooser.overtaken(late.target, task.pooled.all.length);
    }
    if (task.moved !== undefined) this.moves.arrived(task.moved);
    task.succeed(attempt, outcome);
  };

  /** Where the tenant's tasks wait, others may have been waiting for longer by what it had elsewhere meanwhile. */
  private tellShares(kind: string, tenant: string, now: number): void {
    for (const { place, deviceMs } of this.shares.takeDue(kind, tenant, now)) {
      if (!place.member.takes(tenant, now)) continue;
      place.member.of(tenant).chargeElsewhere(place.device, deviceMs);
    }
  }

  private failed(attempt: Attempt, error: AxleError, neverBegan: boolean): void {
    const { owner: task, target } = attempt;
    if (!task.isCancelled) this.chooser.failed(target, error);
    // Another attempt may still give the result.
    if (task.attempts.length > 0) return;
    const { model } = attempt;
    // A server that has not the model under its name; calls find it where it is.
    const isLacking = neverBegan && model !== undefined && error.code === 'FAILED_PRECONDITION';
    if (isLacking) target.noteLacked(model.source, performance.now());
    const mayMove =
      isLacking || (elsewhereCodes.has(error.code) && (neverBegan || task.isRepeatable));
    if (task.isCancelled || this.isClosed || error.outcomeUnknown || !mayMove) {
      task.fail(error, neverBegan);
      return;
    }
    if (!neverBegan && isOfDevice(error) && !target.member.isWell(target.device)) task.losses += 1;
    task.noteFailure(attempt, error);
    this.elsewhere(task, target, error, neverBegan);
  }

  /** Its server is away: it goes on elsewhere, and nobody listens to it any more. */
  private move(attempt: Attempt): void {
    const { owner: task, target } = attempt;
    const neverBegan = attempt.isNeverBegun;
    attempt.giveUp();
    task.ended(attempt);
    if (task.attempts.length > 0 || task.isSettled) return;
    const error = lossOf(target.member, task.tenant);
    if (task.isCancelled) {
      task.fail(AxleError.expected('CANCELLED', 'the call was cancelled'), neverBegan);
      return;
    }
    if (!neverBegan) task.losses += 1;
    task.noteFailure(attempt, error);
    this.elsewhere(task, target, error, neverBegan);
  }

  private elsewhere(task: PoolTask, from: FarDevice, error: AxleError, neverBegan: boolean): void {
    if (task.losses >= lossesMax) {
      task.fail(endsServers(), false);
      return;
    }
    task.moved ??= this.moves.take(from.member.label);
    const target = this.chooser.choose(task);
    this.counted.moves += 1;
    if (target !== undefined) this.attempt(task, target, performance.now());
    // A server that works has refused it, and the others too.
    else if (this.isFinal(error, from, task)) task.fail(error, neverBegan);
    else this.wait(task);
  }

  /** Nothing is gained by waiting for a server. */
  private isFinal({ code }: AxleError, from: FarDevice, { tenant }: PoolTask): boolean {
    if (!from.member.takes(tenant, performance.now())) return false;
    return code !== 'FAILED_PRECONDITION' || this.members.every(({ state }) => state === 'up');
  }

  private wait(task: PoolTask): void {
    const now = performance.now();
    const refusal = this.refusalOf(task.tenant, now);
    if (refusal !== undefined) {
      // Not before whoever has submitted the task knows of it.
      queueMicrotask(() => {
        task.fail(refusal, task.losses === 0);
      });
      return;
    }
    if (task.waitsUntil === 0) task.waitsUntil = now + this.waitMs;
    task.forgetTried();
    this.waiting.add(task);
    if (task.waitsUntil <= now) this.expireSoon();
  }

  /** Why no server lets a tenant in; undefined: one does, or one is away that may. */
  private refusalOf(tenant: string, now: number): AxleError | undefined {
    return refusalByAll(this.members, (member) => member.refusalOf(tenant, now));
  }

  /** Not before whoever has submitted a task knows of it. */
  private expireSoon(): void {
    queueMicrotask(() => {
      this.expire();
    });
  }

  private expire(): void {
    const now = performance.now();
    for (const task of [...this.waiting]) {
      // Connections of tenants come back without their server having been away.
      const target = this.chooser.choose(task);
      const refusal = this.refusalOf(task.tenant, now);
      if (target === undefined && refusal === undefined && task.waitsUntil > now) continue;
      this.waiting.delete(task);
      if (target === undefined) task.fail(refusal ?? this.nowhere(task.pooled), true);
      else this.attempt(task, target, now);
    }
  }

  /** A task that no server can do in time is told so now, and not when its time is over. */
  private refuseIfLate(task: PoolTask): boolean {
    const { deadlineAt } = task.task;
    if (deadlineAt === undefined) return false;
    const leftMs = deadlineAt - performance.now();
    const soonest = this.chooser.soonest(task);
    if (soonest === undefined || soonest.inMs <= leftMs) return false;
    this.counted.refusals += 1;
    const error = AxleError.expected(
      'DEADLINE_EXCEEDED',
      `no server of the pool can do this in the ${leftMs.toFixed(1)} ms that are left: ${soonest.place.id} would be first, ` +
        `in ${soonest.inMs.toFixed(1)} ms; ${lateAdvice}`,
      { earliestMs: soonest.inMs },
    );
    // Not before whoever has submitted it knows of it.
    queueMicrotask(() => {
      task.fail(error, true);
    });
    return true;
  }

  /** Sends the task to a second place when it is later than nearly all like it; the first answer counts. */
  private hedgeWhenLate(task: PoolTask, now: number): void {
    if (!task.isRepeatable || task.isHedged || task.pooled.all.length < 2) return;
    const { tailMs } = task.kind;
    if (tailMs !== undefined) this.late.watch(task, Math.max(tailMs, hedgeMsMin), now);
  }

  private readonly hedgeLate = (task: PoolTask): void => {
    if (task.attempts.length !== 1 || task.isHedged || task.isCancelled || task.isSettled) return;
    const target = this.chooser.chooseSpare(task);
    if (target === undefined || !this.hedges.spend()) return;
    this.counted.hedges += 1;
    this.hedge(task, target);
  };

  private hedge(task: PoolTask, target: FarDevice): void {
    task.isHedged = true;
    this.attempt(task, target, performance.now());
  }

  /** Of a device that gives nothing back, though its server answers: what may run a second time does so elsewhere. */
  private rescueFromStuck(): void {
    for (const { all } of this.devices) {
      for (const device of all) {
        if (!this.chooser.isStuck(device, all.length)) continue;
        for (const { owner } of [...device.attempts]) {
          if (!owner.isRepeatable || owner.isHedged || owner.isCancelled) continue;
          const target = this.chooser.choose(owner);
          if (target === undefined) continue;
          this.counted.rescues += 1;
          this.hedge(owner, target);
        }
      }
    }
  }

  private nowhere({ id }: PooledDevice): AxleError {
    const tried = this.members.map(
      ({ label, state, lastError }) =>
        `${label} is ${state}${lastError === undefined ? '' : ` (${lastError.message})`}`,
    );
    return new AxleError(
      'UNAVAILABLE',
      `no server of the pool took the call for ${id}: ${tried.join('; ')}; try again later, or look after these servers`,
    );
  }
}

/** The pool's op that a range is. */
export function opOf(ops: readonly OfferedOp[], range: BackendTask['range']): OfferedOp {
  const found = ops.find((op) => op === range) ?? ops.find((op) => sameRange(op, range));
  if (found !== undefined) return found;
  throw new AxleError('UNIMPLEMENTED', 'no server of the pool offers this');
}

/**
 * Why all of them refuse, as one error that says it of each; undefined: not all do.
 *
 * @param refusalOf undefined: it does not refuse
 */
export function refusalByAll(
  members: readonly Member[],
  refusalOf: (member: Member) => AxleError | undefined,
): AxleError | undefined {
  const refusals: AxleError[] = [];
  for (const member of members) {
    const refusal = refusalOf(member);
    if (refusal === undefined) return undefined;
    refusals.push(refusal);
  }
  const [first] = refusals;
  if (first === undefined || refusals.length === 1) return first;
  const each = members.map(({ url }, i) => `${url.href}: ${refusals[i]?.message ?? ''}`);
  return new AxleError(first.code, `no server of the pool lets these calls in: ${each.join('; ')}`);
}

/** What the report of a call says of a server that it left. */
function lossOf(member: Member, tenant: string): AxleError {
  const { label, lastError } = member;
  const refusal = member.refusalOf(tenant, performance.now());
  if (refusal !== undefined) {
    return AxleError.expected(refusal.code, `${label} does not let it in: ${refusal.message}`);
  }
  const why = lastError === undefined ? 'its connection was lost' : lastError.message;
  return AxleError.expected('UNAVAILABLE', `${label} was lost: ${why}`);
}

function endsServers(): AxleError {
  return new AxleError(
    'INTERNAL',
    `${lossesMax} servers were lost, one after another, while they ran this call; it is not tried again`,
  );
}
