import { performance } from 'node:perf_hooks';

import {
  asAxleError,
  AxleError,
  hasFlag,
  isOfDevice,
  sameRange,
  type BackendTask,
  type ConnectOptions,
  type LoadedModel,
  type OfferedOp,
  type TaskOutcome,
} from '@axle/core/internal';

import { freeLabel } from '../relay/server-label.js';
import type { SourceOn } from '../relay/upstream.js';
import { Attempt } from './attempt.js';
import type { FarDevice } from './far-device.js';
import { Member, type MemberListener } from './member.js';
import { betterOfTwo, placeWithModel, type ModelFit } from './placement.js';
import type { PooledDevice } from './pooled-device.js';
import { PoolTask } from './pool-task.js';
import { TaskKinds } from './task-kind.js';

/** How long tasks wait for a server when there is none, milliseconds. */
export const waitMsDefault = 30_000;
/** How often it is looked whether they have waited for too long, milliseconds. */
const expiryMs = 250;
/** Servers that may be lost while they have a task: it may be what ends them. */
const lossesMax = 3;
/** How long a model takes to load that never was, milliseconds, beside its bytes. */
const loadMsGuess = 50;
/** What a model's bytes take to reach a server and its device. */
const loadBytesPerMs = 100_000;

/** What another server may do better: it has room, or works. */
const elsewhereCodes: ReadonlySet<string> = new Set([
  'UNAVAILABLE',
  'INTERNAL',
  'UNKNOWN',
  'RESOURCE_EXHAUSTED',
]);

export interface PoolOptions {
  readonly servers: readonly URL[];
  readonly connect: ConnectOptions;
  readonly actsForTenants: boolean;
  readonly sourceOn: SourceOn;
  readonly fit: ModelFit;
  readonly random: () => number;
  /** A server came, or went. */
  readonly onChange: (member: Member) => void;
}

/** The servers of a pool, and the tasks that are under way on them. */
export class Pool implements MemberListener {
  readonly members: Member[] = [];
  /** What core sees, by what the servers said that were there first. */
  devices: readonly PooledDevice[] = [];
  readonly kinds = new TaskKinds();
  /** For a server to be there. */
  private readonly waiting = new Set<PoolTask>();
  private readonly waitMs: number;
  private readonly timer: NodeJS.Timeout;
  private isClosed = false;
  private readonly whenUp: (() => void)[] = [];

  constructor(private readonly options: PoolOptions) {
    this.waitMs = options.connect.reconnect?.timeoutMs ?? waitMsDefault;
    for (const url of options.servers) this.add(url);
    this.timer = setInterval(() => {
      this.expire();
    }, expiryMs).unref();
  }

  /** Takes new servers in, and lets those go that are not named any more, when they have answered what they have. */
  setServers(urls: readonly URL[]): void {
    if (this.isClosed) return;
    const wanted = new Set(urls.map(({ href }) => href));
    for (const member of [...this.members]) if (!wanted.has(member.url.href)) member.retire();
    const known = new Set(
      this.members.flatMap(({ url, isRetired }) => (isRetired ? [] : url.href)),
    );
    for (const url of urls) if (!known.has(url.href)) this.add(url);
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
    const pooledTask = new PoolTask(task, pooled, op, kind, isRepeatable);
    task.backendData = pooledTask;
    this.start(pooledTask);
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
  ): FarDevice {
    const kind = this.kinds.of(op, model);
    const found = this.choose({ pooled, op, tenant, kind, bytes: 0, tried: new Set() }, model);
    if (found === undefined) throw this.nowhere(pooled);
    return found;
  }

  memberUp(member: Member): void {
    this.options.onChange(member);
    for (const device of this.devices) device.refresh();
    for (const resolve of this.whenUp.splice(0)) resolve();
    for (const task of [...this.waiting]) {
      this.waiting.delete(task);
      task.tried.clear();
      this.start(task);
    }
  }

  memberLost(member: Member, tenant: string): void {
    if (this.isClosed) return;
    if (tenant === '') this.options.onChange(member);
    const now = performance.now();
    for (const device of member.devices) {
      // Another run of the server has to load them.
      if (tenant === '' && member.state === 'lost') device.forgetLoaded();
      for (const attempt of [...device.attempts]) {
        if (!member.takes(attempt.tenant, now) && attempt.mayMove) this.move(attempt);
      }
    }
  }

  memberGone(member: Member): void {
    const at = this.members.indexOf(member);
    if (at >= 0) this.members.splice(at, 1);
    this.options.onChange(member);
    for (const device of this.devices) device.refresh();
    for (const device of member.devices) this.kinds.forget(device);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearInterval(this.timer);
    for (const task of this.waiting) {
      task.fail(new AxleError('CANCELLED', 'the client was closed'), true);
    }
    this.waiting.clear();
    await Promise.all(this.members.map((member) => member.close()));
  }

  private add(url: URL): void {
    const { connect, actsForTenants, sourceOn } = this.options;
    const label = freeLabel(url, new Set(this.members.map((member) => member.label)));
    this.members.push(new Member({ url, label, connect, actsForTenants, sourceOn }, this));
  }

  /** Sends the task where it should be done soonest, or lets it wait for a server. */
  private start(task: PoolTask): void {
    const target = this.choose(task, task.task.model);
    if (target === undefined) this.wait(task);
    else this.attempt(task, target);
  }

  private attempt(task: PoolTask, target: FarDevice): void {
    const now = performance.now();
    const { model } = task.task;
    task.tried.add(target);
    const attempt = new Attempt(
      task,
      target,
      model && target.modelOf(model, now),
      task.kind.expectedMs(target, task.bytes),
      now,
      this.done,
    );
    task.attempts.push(attempt);
    try {
      target.member.of(task.tenant).submit(target.device, attempt);
    } catch (error) {
      // Not before whoever has submitted it knows of it.
      queueMicrotask(() => {
        attempt.settle({ ok: false, error: asAxleError(error), neverBegan: true });
      });
    }
  }

  private readonly done = (attempt: Attempt, outcome: TaskOutcome): void => {
    const { owner: task } = attempt;
    task.attempts.splice(task.attempts.indexOf(attempt), 1);
    if (!outcome.ok) {
      this.failed(attempt, outcome.error, outcome.neverBegan === true);
      return;
    }
    const { transferMs, computeMs, batchSize } = outcome.timing;
    const tookMs = transferMs + computeMs / Math.max(1, batchSize);
    const wholeMs = performance.now() - attempt.startedAt;
    if (attempt.model !== undefined) attempt.target.noteLoaded(attempt.model.source);
    task.kind.observe(attempt.target, task.bytes, tookMs, wholeMs);
    task.succeed(attempt, outcome);
  };

  private failed(attempt: Attempt, error: AxleError, neverBegan: boolean): void {
    const { owner: task, target } = attempt;
    // Another attempt may still give the result.
    if (task.attempts.length > 0) return;
    const mayMove = elsewhereCodes.has(error.code) && (neverBegan || task.isRepeatable);
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
    task.attempts.splice(task.attempts.indexOf(attempt), 1);
    if (task.attempts.length > 0 || task.isSettled) return;
    const { label, lastError } = target.member;
    const why = lastError === undefined ? 'its connection was lost' : lastError.message;
    const error = AxleError.expected('UNAVAILABLE', `${label} was lost: ${why}`);
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
    const target = this.choose(task, task.task.model);
    if (target !== undefined) this.attempt(task, target);
    // A server that works has refused it, and the others too.
    else if (from.member.takes(task.tenant, performance.now())) task.fail(error, neverBegan);
    else this.wait(task);
  }

  private wait(task: PoolTask): void {
    const now = performance.now();
    if (task.waitsUntil === 0) task.waitsUntil = now + this.waitMs;
    task.tried.clear();
    this.waiting.add(task);
    if (task.waitsUntil <= now) this.expireSoon();
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
      const target = this.choose(task, task.task.model);
      if (target === undefined && task.waitsUntil > now) continue;
      this.waiting.delete(task);
      if (target === undefined) task.fail(this.nowhere(task.pooled), true);
      else this.attempt(task, target);
    }
  }

  private choose(
    {
      pooled,
      op,
      kind,
      bytes,
      tenant,
      tried,
      task,
    }: Pick<PoolTask, 'pooled' | 'op' | 'kind' | 'bytes' | 'tenant' | 'tried'> & Partial<PoolTask>,
    model: LoadedModel | undefined,
  ): FarDevice | undefined {
    const now = performance.now();
    const { device: wanted, strict = false } = task?.preference ?? {};
    const isPart = wanted !== undefined && pooled.includes(wanted);
    const places = pooled.all;
    const mayTake = (device: FarDevice) =>
      device.member.takes(tenant, now) &&
      !tried.has(device) &&
      device.member.isWell(device.device) &&
      device.offers(op);
    const among = (allows: (device: FarDevice) => boolean): FarDevice | undefined => {
      const { random, fit } = this.options;
      const finishMs = (device: FarDevice) => device.waitMs(now) + kind.expectedMs(device, bytes);
      if (model === undefined) return betterOfTwo(places, { allows, finishMs, random });
      const { source } = model;
      const modelBytes = source.files.reduce((sum, { data }) => sum + data.byteLength, 0);
      return placeWithModel(places, new Set(places.filter((device) => device.has(source))), {
        allows,
        finishMs,
        fits: (device) => device.freeBytes >= modelBytes,
        freeBytes: (device) => device.freeBytes,
        loadMs: loadMsGuess + modelBytes / loadBytesPerMs,
        fit,
        random,
      });
    };
    if (!isPart) return among(mayTake);
    const named = among((device) => device.isNamed(wanted) && mayTake(device));
    return named ?? (strict ? undefined : among(mayTake));
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

function endsServers(): AxleError {
  return new AxleError(
    'INTERNAL',
    `${lossesMax} servers were lost, one after another, while they ran this call; it is not tried again`,
  );
}
