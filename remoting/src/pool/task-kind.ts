import { LatencyProfile, LruMap, type LoadedModel, type OpRange } from '@axle/core/internal';

import type { FarDevice } from './far-device.js';

/** Kinds of tasks that are remembered: the one that came longest ago is forgotten. */
const kindsMax = 4096;
/** Guess for what was never measured anywhere, milliseconds. */
const unknownMs = 1;
/** A task that took so many times less than expected, where others take so much less too, begins a new measurement. */
const outdatedFactor = 3;
/** Durations of late that quantiles are taken of. */
const recentMax = 128;
/** Fewer say nothing of the tail. */
const recentMin = 32;
/** After so many more the tail is worked out anew. */
const recentStep = 16;
const tailQuantile = 0.95;

/** Used within one call. */
const sorting = new Float64Array(recentMax);

/** What tasks of one op, with one model, took on the devices of a pool. */
export class TaskKind {
  private readonly profiles = new Map<FarDevice, LatencyProfile>();
  private readonly recent = new Float64Array(recentMax);
  private added = 0;
  private knownTailMs: number | undefined = undefined;
  /** When so many were added, it is worked out anew. */
  private tailDueAt = recentMin;

  constructor(readonly key: string) {}

  /**
   * @param tookMs on the device and on the way, without waiting
   * @param wholeMs from when it was sent until its answer
   */
  observe(device: FarDevice, bytes: number, tookMs: number, wholeMs: number): void {
    let profile = this.profiles.get(device);
    if (profile === undefined || this.isOutdated(profile, device, bytes, tookMs)) {
      profile = new LatencyProfile();
      this.profiles.set(device, profile);
    }
    profile.observe(bytes, tookMs);
    this.recent[this.added % recentMax] = wholeMs;
    this.added += 1;
  }

  /** Tasks that were measured. */
  get count(): number {
    return this.added;
  }

  /** Whether enough ran anywhere to know what one takes. */
  get isMeasured(): boolean {
    for (const { known } of this.profiles.values()) if (known) return true;
    return false;
  }

  /** The same of one device. */
  isKnown(device: FarDevice): boolean {
    return this.profiles.get(device)?.known === true;
  }

  /**
   * How long a task takes there, by what such tasks took; where few ran, no longer than elsewhere, since the first ones
   * warm up what the others use; milliseconds.
   */
  expectedMs(device: FarDevice, bytes: number): number {
    const profile = this.profiles.get(device);
    if (profile?.known === true) return profile.expectedWithinMs(bytes);
    const ownMs = profile?.expectedWithinMs(bytes) ?? Infinity;
    const ms = Math.min(ownMs, this.othersMs(device, bytes));
    return ms === Infinity ? unknownMs : ms;
  }

  /** Most tasks of late were answered within this, milliseconds; undefined: too few were. */
  get tailMs(): number | undefined {
    // Worked out for those who ask: a pool of one server never does.
    if (this.added >= this.tailDueAt) {
      this.knownTailMs = this.tailNow();
      this.tailDueAt = this.added + recentStep;
    }
    return this.knownTailMs;
  }

  /** What was measured there is of another time, or of another server. */
  forget(device: FarDevice): void {
    this.profiles.delete(device);
  }

  /** The same on average, on each device where enough ran. */
  averages(): ReadonlyMap<FarDevice, number> {
    const averages = new Map<FarDevice, number>();
    for (const [device, profile] of this.profiles) {
      if (profile.known) averages.set(device, profile.expectedWithinMs(undefined));
    }
    return averages;
  }

  /** Whether it was passed over for what it took in another time, such as at its start, and is as quick as others now. */
  private isOutdated(
    profile: LatencyProfile,
    device: FarDevice,
    bytes: number,
    tookMs: number,
  ): boolean {
    const expectedMs = profile.expectedWithinMs(bytes);
    return (
      profile.known &&
      tookMs * outdatedFactor < expectedMs &&
      this.othersMs(device, bytes) * outdatedFactor < expectedMs
    );
  }

  /** What such tasks take on other devices, on average; Infinity: they never ran there. */
  private othersMs(device: FarDevice, bytes: number): number {
    let sum = 0;
    let others = 0;
    for (const [where, other] of this.profiles) {
      if (where === device) continue;
      sum += other.expectedWithinMs(bytes);
      others += 1;
    }
    return others === 0 ? Infinity : sum / others;
  }

  private tailNow(): number {
    const { recent, added } = this;
    // Sorted where nothing is made for it.
    const known = added < recentMax ? sorting.subarray(0, added) : sorting;
    known.set(added < recentMax ? recent.subarray(0, added) : recent);
    known.sort();
    return known[Math.floor(tailQuantile * (known.length - 1))] as number;
  }
}

/** The kinds of a pool's tasks. */
export class TaskKinds {
  private readonly kinds = new LruMap<string, TaskKind>(kindsMax);

  /** Of the last task: the next one is likely to be of its kind. */
  private last: { readonly range: OpRange; readonly content: string; kind: TaskKind } | undefined;

  of(range: OpRange, model: LoadedModel | undefined): TaskKind {
    const content = model?.source.contentId ?? '';
    const { last } = this;
    if (last?.range === range && last.content === content) return last.kind;
    const kind = this.found(range, content);
    this.last = { range, content, kind };
    return kind;
  }

  private found({ name, op, version, first, last }: OpRange, content: string): TaskKind {
    const key = `${name}${op}.${version}.${first}.${last} ${content}`;
    let kind = this.kinds.get(key);
    if (kind === undefined) {
      kind = new TaskKind(key);
      this.kinds.set(key, kind);
    }
    return kind;
  }

  forget(device: FarDevice): void {
    for (const kind of this.kinds.values()) kind.forget(device);
    this.last?.kind.forget(device);
  }
}
