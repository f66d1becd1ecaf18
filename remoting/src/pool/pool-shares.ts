import { LruMap } from '@axle/core/internal';

/** Tenants that are remembered: the one that used the pool longest ago is forgotten. */
const tenantsMax = 4096;
/** Less is not worth a frame, milliseconds. */
const toldMsMin = 5;
/** How often places are told for tasks that wait there already, milliseconds, and for each place one more. */
const tellEveryMs = 20;
/** More at a time says nothing new: servers count no more of it, milliseconds. */
const toldMsMax = 1000;

/** What one tenant had of the pool's devices of one kind, milliseconds. */
interface Share {
  totalMs: number;
  /** By place: what of that it knows, because it was had there or was told. */
  readonly knownMs: Map<object, number>;
  /** Where tasks of the tenant wait or run, or did, and how many: what comes and goes with each task is no entry. */
  readonly open: Map<object, number>;
  /** Of these places, those that have some. */
  openPlaces: number;
  /** When all those were told last. */
  toldAt: number;
}

/** Something to be told to one place. */
export interface Untold<Place> {
  readonly place: Place;
  readonly deviceMs: number;
}

/**
 * What tenants had of a pool's devices, as far as it went through here: each server is told what of it was elsewhere, and
 * shares its device out by the whole. Several pools on the same servers need not know of each other: each tells of its own,
 * and the servers add it up.
 */
export class PoolShares<Place extends object> {
  private readonly shares = new LruMap<string, Share>(tenantsMax);
  /** Of the last task: the next question is likely to be for it, and it is the last to be forgotten. */
  private last:
    { readonly kind: string; readonly tenant: string; readonly share: Share } | undefined;

  /** A tenant's task goes there. */
  began(kind: string, place: Place, tenant: string): void {
    const share = this.shareOf(kind, tenant);
    const before = share.open.get(place) ?? 0;
    share.open.set(place, before + 1);
    if (before === 0) share.openPlaces += 1;
  }

  /** It is over there, whatever became of it. */
  ended(kind: string, place: Place, tenant: string): void {
    const share = this.shareOf(kind, tenant);
    const before = share.open.get(place) ?? 0;
    // The place was forgotten meanwhile.
    if (before === 0) return;
    share.open.set(place, before - 1);
    if (before === 1) share.openPlaces -= 1;
  }

  /** A tenant's task was done there, and took so much of the device. */
  used(kind: string, place: Place, tenant: string, deviceMs: number): void {
    const share = this.shareOf(kind, tenant);
    share.totalMs += deviceMs;
    share.knownMs.set(place, (share.knownMs.get(place) ?? 0) + deviceMs);
  }

  /** What is to be told where the tenant has tasks, from time to time: those that wait there are not to go by what was. */
  takeDue(kind: string, tenant: string, now: number): readonly Untold<Place>[] {
    const share = this.knownShareOf(kind, tenant);
    if (share === undefined || share.openPlaces < 2) return nothing;
    if (now - share.toldAt < tellEveryMs + share.openPlaces) return nothing;
    share.toldAt = now;
    const due: Untold<Place>[] = [];
    for (const [place, tasks] of share.open as Map<Place, number>) {
      if (tasks === 0) continue;
      const deviceMs = this.takeUntold(kind, place, tenant);
      if (deviceMs > 0) due.push({ place, deviceMs });
    }
    return due;
  }

  /** What is to be told there with the tenant's next task; it counts as told. 0: nothing. */
  takeUntold(kind: string, place: Place, tenant: string): number {
    const share = this.knownShareOf(kind, tenant);
    if (share === undefined) return 0;
    const untoldMs = share.totalMs - (share.knownMs.get(place) ?? 0);
    if (untoldMs < toldMsMin) return 0;
    share.knownMs.set(place, share.totalMs);
    return Math.min(untoldMs, toldMsMax);
  }

  forget(place: Place): void {
    for (const share of this.shares.values()) {
      share.knownMs.delete(place);
      if ((share.open.get(place) ?? 0) > 0) share.openPlaces -= 1;
      share.open.delete(place);
    }
  }

  private shareOf(kind: string, tenant: string): Share {
    let share = this.knownShareOf(kind, tenant);
    if (share === undefined) {
      share = { totalMs: 0, knownMs: new Map(), open: new Map(), openPlaces: 0, toldAt: 0 };
      this.shares.set(keyOf(kind, tenant), share);
      this.last = { kind, tenant, share };
    }
    return share;
  }

  private knownShareOf(kind: string, tenant: string): Share | undefined {
    const { last } = this;
    if (last?.kind === kind && last.tenant === tenant) return last.share;
    const share = this.shares.get(keyOf(kind, tenant));
    if (share !== undefined) this.last = { kind, tenant, share };
    return share;
  }
}

const nothing: readonly never[] = [];

/** No name of a tenant has a space. */
function keyOf(kind: string, tenant: string): string {
  return `${tenant} ${kind}`;
}
