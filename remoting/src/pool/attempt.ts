import type {
  BackendTask,
  CallAsCame,
  LoadedModel,
  NamedTensor,
  OpArgs,
  OpRange,
  TaskOutcome,
  TraceContext,
} from '@axle/core/internal';

import { RemoteCall } from '../client/remote-call.js';
import { RelayedTask } from '../relay/relayed-task.js';
import type { FarDevice } from './far-device.js';
import type { Linked } from './linked-set.js';
import type { PoolShares } from './pool-shares.js';
import type { PoolTask } from './pool-task.js';

/** A task of a pool on its way through one of its devices. */
export class Attempt implements BackendTask, Linked<Attempt> {
  backendData: unknown = undefined;
  isLinked = false;
  linkedBefore: Attempt | undefined = undefined;
  linkedAfter: Attempt | undefined = undefined;
  /** Settled, or given up for another. */
  isOver = false;
  /** Made because another one is late. */
  readonly isSpare: boolean;

  /**
   * @param expectedMs what it is expected to take there, without waiting
   * @param dueMs the same with waiting
   * @param startedAt on the clock of `performance`
   */
  constructor(
    readonly owner: PoolTask,
    readonly target: FarDevice,
    readonly model: LoadedModel | undefined,
    readonly expectedMs: number,
    readonly dueMs: number,
    readonly startedAt: number,
    private readonly shares: PoolShares<FarDevice>,
    private readonly done: (attempt: Attempt, outcome: TaskOutcome) => void,
  ) {
    this.isSpare = owner.attempts.length > 0;
    target.add(this);
    shares.began(target.kind, target, owner.tenant);
  }

  get range(): OpRange {
    return this.owner.task.range;
  }

  get args(): OpArgs {
    return this.owner.task.args;
  }

  get inputs(): readonly NamedTensor[] {
    return this.owner.task.inputs;
  }

  get outputBytesMax(): number {
    return this.owner.task.outputBytesMax;
  }

  get deadlineAt(): number | undefined {
    return this.owner.task.deadlineAt;
  }

  get priority(): number {
    return this.owner.task.priority;
  }

  get tenant(): string {
    return this.owner.task.tenant;
  }

  get asCame(): CallAsCame | undefined {
    return this.owner.task.asCame;
  }

  get trace(): TraceContext | undefined {
    return this.owner.task.trace;
  }

  /**
   * Whether it may run elsewhere: its connection does not have it now, and it may run a second time, or no server can have
   * begun it.
   */
  get mayMove(): boolean {
    const { call } = this;
    if (call === undefined) return true;
    return !call.isUnderWay && (this.owner.isRepeatable || call.isNeverSent);
  }

  /** No server can have begun it. */
  get isNeverBegun(): boolean {
    return this.call?.isNeverSent ?? true;
  }

  settle(outcome: TaskOutcome): void {
    if (this.isOver) return;
    this.end();
    this.done(this, outcome);
  }

  /** It still settles. */
  cancel(): void {
    const { backendData } = this;
    if (backendData instanceof RelayedTask || backendData instanceof RemoteCall) {
      backendData.cancel();
    }
  }

  /** Nobody waits for it any more, whatever becomes of it. */
  giveUp(): void {
    if (this.isOver) return;
    this.end();
    this.cancel();
  }

  private end(): void {
    this.isOver = true;
    this.target.remove(this);
    this.shares.ended(this.target.kind, this.target, this.tenant);
  }

  /** Undefined: it waits for its connection, or for its model there. */
  private get call(): RemoteCall | undefined {
    const { backendData } = this;
    if (backendData instanceof RemoteCall) return backendData;
    const inner = backendData instanceof RelayedTask ? backendData.backendData : undefined;
    return inner instanceof RemoteCall ? inner : undefined;
  }
}
