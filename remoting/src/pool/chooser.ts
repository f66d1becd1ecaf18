import {
  CircuitBreaker,
  type AxleError,
  type LoadedModel,
  type ModelSource,
  type OfferedOp,
  type Preference,
} from '@axle/core/internal';

import type { FarDevice } from './far-device.js';
import { Outliers } from './outliers.js';
import {
  betterOfTwo,
  placeApart,
  placeWithModel,
  type ModelFit,
  type PlacementView,
} from './placement.js';
import type { PooledDevice } from './pooled-device.js';
import type { TaskKind, TaskKinds } from './task-kind.js';

/** How long a model takes to load that never was, milliseconds, beside its bytes. */
const loadMsGuess = 50;
/** What of a model reaches a server and its device in a millisecond, bytes. */
const loadBytesPerMs = 100_000;
/** A device that gives nothing back for so long, milliseconds, is stuck, */
const stuckMs = 2000;
/** if it has a task that long that should have taken but a part of it. */
const stuckFactor = 10;
/** Tasks of a kind after which it is looked again whether a device is far slower than others. */
const judgeEvery = 8;

export interface ChooserOptions {
  readonly fit: ModelFit;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Milliseconds. */
  readonly clock: () => number;
}

/** What a place is wanted for. */
export interface Wanted {
  readonly pooled: PooledDevice;
  readonly op: OfferedOp;
  readonly kind: TaskKind;
  /** Of its inputs. */
  readonly bytes: number;
  readonly tenant: string;
  readonly model: LoadedModel | undefined;
  readonly preference: Preference | undefined;
  /** Not there again. */
  readonly tried: ReadonlySet<FarDevice>;
}

/** When a task would be done, at best. */
export interface Soonest {
  readonly place: FarDevice;
  readonly inMs: number;
}

/** Chooses where the tasks of a pool go, by what became of those before. */
export class Chooser {
  readonly outliers: Outliers<FarDevice>;
  private readonly breaker: CircuitBreaker;

  constructor(
    private readonly options: ChooserOptions,
    private readonly kinds: TaskKinds,
  ) {
    this.outliers = new Outliers(options.clock);
    this.breaker = new CircuitBreaker(options.clock);
  }

  /**
   * @param now on the pool's clock
   * @returns undefined: no server takes it now.
   */
  choose(wanted: Wanted, now = this.options.clock()): FarDevice | undefined {
    const { all } = wanted.pooled;
    // A pool of one has no choice, and is to cost next to nothing.
    if (all.length <= 1 && wanted.preference?.device === undefined) {
      const [only] = all;
      if (only === undefined || !this.mayTake(only, wanted, now)) return undefined;
      return only;
    }
    const mayTake = this.filterOf(wanted, now);
    const isGood = (place: FarDevice) => mayTake(place) && this.isGood(place);
    // Slow, or failing of late, is better than nothing.
    return this.among(wanted, isGood) ?? this.among(wanted, mayTake);
  }

  /** Another place for a task that may only be late where it is: one that is known to be good. */
  chooseSpare(wanted: Wanted): FarDevice | undefined {
    const mayTake = this.filterOf(wanted);
    return this.among(wanted, (place) => mayTake(place) && this.isGood(place));
  }

  /**
   * When the task would be done at best.
   *
   * @returns undefined where nobody knows: a place has nothing to do, or never ran such a task.
   */
  soonest(wanted: Wanted): Soonest | undefined {
    const mayTake = this.filterOf(wanted);
    let soonest: Soonest | undefined;
    for (const place of wanted.pooled.all) {
      if (!mayTake(place)) continue;
      // One that was judged wrong is tried, so that the judgement mends itself.
      if (place.attempts.size === 0 || !wanted.kind.isKnown(place)) return undefined;
      const inMs = this.finishMs(place, wanted);
      if (soonest === undefined || inMs < soonest.inMs) soonest = { place, inMs };
    }
    return soonest;
  }

  /**
   * Where a model is loaded ahead of the tasks that will need it.
   *
   * @param having places that have it, and not those again
   * @returns undefined: nowhere now, or only where it does not fit.
   */
  placeForModel(
    places: readonly FarDevice[],
    { source }: LoadedModel,
    tenant: string,
    having: ReadonlySet<FarDevice> = new Set(),
  ): FarDevice | undefined {
    const now = this.options.clock();
    const view = this.viewFor(source);
    const allows = (place: FarDevice) =>
      !having.has(place) &&
      place.member.takes(tenant, now) &&
      place.member.isWell(place.device) &&
      !place.lacks(source, now) &&
      this.isGood(place) &&
      view.fits(place);
    const finishMs = (place: FarDevice) => place.waitMs(now);
    return placeApart(places, having, { ...view, allows, finishMs });
  }

  /** To be told when a task goes there. */
  entering(place: FarDevice): void {
    this.breaker.entering(place.device);
    if (this.outliers.entering(place)) this.kinds.forget(place);
  }

  /** To be told when one gave its result, after its kind was. */
  succeeded(place: FarDevice, kind: TaskKind, count: number): void {
    this.breaker.succeeded(place.device);
    this.outliers.finished(place);
    if (count < 2) return;
    const isOnTrial = this.outliers.reason(place) !== undefined;
    if (isOnTrial || kind.count % judgeEvery === 0) {
      this.outliers.judge(place, kind.averages(), count);
    }
  }

  /** To be told when another place finished a task that was late there. */
  overtaken(place: FarDevice, count: number): void {
    this.outliers.overtaken(place, count);
  }

  failed(place: FarDevice, error: AxleError): void {
    this.breaker.failed(place.device, error);
  }

  /** Why its tasks go elsewhere; undefined: they do not. */
  reason(place: FarDevice): string | undefined {
    return this.breaker.reason(place.device) ?? this.outliers.reason(place);
  }

  /** Whether the server answers, and the device does not: it is left alone from now on, unless too many are. */
  isStuck(place: FarDevice, placesCount: number): boolean {
    const now = this.options.clock();
    const oldest = place.attempts.first;
    if (oldest === undefined || now - place.lastDoneAt < stuckMs) return false;
    const ageMs = now - oldest.startedAt;
    const { kind, task } = oldest.owner;
    const isKnown =
      kind.isMeasured && (task.model === undefined || place.isLoaded(task.model.source));
    if (!isKnown || ageMs < Math.max(stuckMs, stuckFactor * oldest.dueMs)) return false;
    if (this.outliers.reason(place) === undefined) {
      this.outliers.eject(place, `nothing came back for ${Math.round(ageMs)} ms`, placesCount);
    }
    return true;
  }

  private isGood(place: FarDevice): boolean {
    return !this.breaker.isOpen(place.device) && this.outliers.allows(place, place.attempts.size);
  }

  private finishMs(place: FarDevice, { kind, bytes }: Wanted): number {
    return place.waitMs(this.options.clock()) + kind.expectedMs(place, bytes);
  }

  /** Whether a place is there for the task at all. */
  private filterOf(wanted: Wanted, now = this.options.clock()): (place: FarDevice) => boolean {
    return (place) => this.mayTake(place, wanted, now);
  }

  private mayTake(place: FarDevice, { op, tenant, tried, model }: Wanted, now: number): boolean {
    return (
      place.member.takes(tenant, now) &&
      !tried.has(place) &&
      place.member.isWell(place.device) &&
      place.offers(op) &&
      (model === undefined || !place.lacks(model.source, now))
    );
  }

  /** Where the caller wants it, if it may be there. */
  private among(wanted: Wanted, allows: (place: FarDevice) => boolean): FarDevice | undefined {
    const { pooled, preference } = wanted;
    const { device, strict = false } = preference ?? {};
    if (device === undefined || !pooled.includes(device)) return this.amongAll(wanted, allows);
    const isNamed = (place: FarDevice) => place.isNamed(device) && allows(place);
    const named = this.amongAll(wanted, isNamed);
    return named ?? (strict ? undefined : this.amongAll(wanted, allows));
  }

  private amongAll(wanted: Wanted, allows: (place: FarDevice) => boolean): FarDevice | undefined {
    const { model, pooled } = wanted;
    const { random } = this.options;
    const finishMs = (place: FarDevice) => this.finishMs(place, wanted);
    const places = pooled.all;
    if (model === undefined) return betterOfTwo(places, { allows, finishMs, load: loadOf, random });
    const { source } = model;
    return placeWithModel(places, pooled.having(source), {
      ...this.viewFor(source),
      allows,
      finishMs,
    });
  }

  private viewFor(source: ModelSource): Omit<PlacementView<FarDevice>, 'allows' | 'finishMs'> {
    const { random, fit } = this.options;
    const bytes = modelBytesOf(source);
    return {
      load: loadOf,
      fits: (place) => place.freeBytes >= bytes,
      freeBytes: (place) => place.freeBytes,
      loadMs: loadMsGuess + bytes / loadBytesPerMs,
      host: ({ member }) => member.host,
      fit,
      random,
    };
  }
}

function loadOf({ attempts, device }: FarDevice): number {
  return attempts.size / device.parallel;
}

function modelBytesOf({ files }: ModelSource): number {
  let bytes = 0;
  for (const { data } of files) bytes += data.byteLength;
  return bytes;
}
