import type { AxleError } from '@axle/core/internal';
import {
  type BackendTask,
  type FailedAttempt,
  type LoadedModel,
  type OfferedOp,
  type Preference,
  type StepReport,
  type TaskOutcome,
} from '@axle/core/internal';

import { opNameOf, opStepsOf } from '../op-names.js';
import type { Attempt } from './attempt.js';
import type { FarDevice } from './far-device.js';
import type { LateTasks, Watched } from './late-tasks.js';
import type { MovedTask } from './moves.js';
import type { PooledDevice } from './pooled-device.js';
import type { TaskKind } from './task-kind.js';

/** A task that core gave the pool: one attempt after another, or two at once, until one of them gives its outcome. */
export class PoolTask implements Watched<PoolTask> {
  isLinked = false;
  linkedBefore: PoolTask | undefined = undefined;
  linkedAfter: PoolTask | undefined = undefined;
  lateAt = 0;
  /** Most have one, and then none. */
  attempts: readonly Attempt[] = none;
  private firstTried: FarDevice | undefined = undefined;
  private triedTwice: Set<FarDevice> | undefined = undefined;
  readonly bytes: number;
  /** Servers that were lost while they had it. */
  losses = 0;
  isCancelled = false;
  isSettled = false;
  /** Until when it waits for a server, on the clock of `performance`; 0: it does not. */
  waitsUntil = 0;
  /** A second attempt was made because the first was late. */
  isHedged = false;
  /** It was taken from a server, and is not answered yet. */
  moved: MovedTask | undefined = undefined;
  private failed: FailedAttempt[] | undefined = undefined;

  constructor(
    readonly task: BackendTask,
    readonly pooled: PooledDevice,
    readonly op: OfferedOp,
    readonly kind: TaskKind,
    /** PURE or IDEMPOTENT: it may run a second time. */
    readonly isRepeatable: boolean,
    private readonly late: LateTasks<PoolTask>,
  ) {
    this.bytes = task.asCame?.inputBytes ?? bytesOf(task);
  }

  /** Where it was tried, and is not tried again while there is another place. */
  get tried(): ReadonlySet<FarDevice> {
    if (this.firstTried === undefined) return nowhere;
    return (this.triedTwice ??= new Set([this.firstTried]));
  }

  noteTried(place: FarDevice): void {
    if (this.firstTried === undefined) this.firstTried = place;
    else (this.triedTwice ??= new Set([this.firstTried])).add(place);
  }

  forgetTried(): void {
    this.firstTried = undefined;
    this.triedTwice = undefined;
  }

  began(attempt: Attempt): void {
    this.attempts = this.attempts.length === 0 ? [attempt] : [...this.attempts, attempt];
  }

  ended(attempt: Attempt): void {
    const { attempts } = this;
    if (attempts.length === 1 && attempts[0] === attempt) this.attempts = none;
    else this.attempts = attempts.filter((each) => each !== attempt);
  }

  get tenant(): string {
    return this.task.tenant;
  }

  get model(): LoadedModel | undefined {
    return this.task.model;
  }

  get preference(): Preference | undefined {
    const { preference } = this.task;
    // Who names all of them names none.
    return preference?.device === this.pooled.id ? undefined : preference;
  }

  /** For the report of the call. */
  noteFailure({ target }: Attempt, { code, message }: AxleError): void {
    (this.failed ??= []).push({ devices: [target.id], code, message });
  }

  succeed(attempt: Attempt, outcome: TaskOutcome & { readonly ok: true }): void {
    // Whoever hands calls on as they came tells of no steps.
    if (this.task.asCame !== undefined) {
      this.settle(outcome);
      return;
    }
    const { steps = [stepOf(this.task, attempt, outcome)], fallbacks = [] } = outcome.making ?? {};
    const { failed = [] } = this;
    this.settle({ ...outcome, making: { steps, fallbacks: [...failed, ...fallbacks] } });
  }

  fail(error: AxleError, neverBegan: boolean): void {
    this.settle({ ok: false, error, neverBegan });
  }

  settle(outcome: TaskOutcome): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.late.forget(this);
    // Those that run a second time have lost the race.
    for (const attempt of this.attempts) attempt.giveUp();
    this.task.settle(outcome);
  }
}

const none: readonly Attempt[] = [];
const nowhere: ReadonlySet<FarDevice> = new Set();

function stepOf(
  { range }: BackendTask,
  { target }: Attempt,
  { timing }: TaskOutcome & { readonly ok: true },
): StepReport {
  const { queueMs, transferMs, computeMs, batchSize } = timing;
  return {
    step: stepName(range),
    device: target.id,
    timingMs: { queue: queueMs, transfer: transferMs, compute: computeMs },
    batchSize,
  };
}

function stepName({ name, op, first, last }: BackendTask['range']): string {
  if (name !== '') return name;
  const steps = opStepsOf(op);
  if (steps.length === 0) return opNameOf(op) ?? '';
  return first === last ? (steps[first] ?? '') : `${steps[first]}..${steps[last]}`;
}

function bytesOf({ inputs }: BackendTask): number {
  let bytes = 0;
  for (const { tensor } of inputs) bytes += tensor.byteLength;
  return bytes;
}
