import { LruMap } from '@axle/core/internal';

/** Tenants that are remembered: the one that used the pool longest ago is forgotten. */
const tenantsMax = 4096;
/** Less is not worth a frame, milliseconds. */
const toldMsMin = 5;
/** More at a time says nothing new: servers count no more of it, milliseconds. */
const toldMsMax = 1000;

/** What one tenant had of the pool's devices of one kind, milliseconds. */
interface Share {
  totalMs: number;
  /** By place: what of that it knows, because it was had there or was told. */
  readonly knownMs: Map<object, number>;
}

/**
 * What tenants had of a pool's devices, as far as it went through here: each server is told what of it was elsewhere, and
 * shares its device out by the whole. Several pools on the same servers need not know of each other: each tells of its own,
 * and the servers add it up.
 */
export class PoolShares<Place extends object> {
  private readonly shares = new LruMap<string, Share>(tenantsMax);

  /** A tenant's task was done there, and took so much of the device. */
  used(kind: string, place: Place, tenant: string, deviceMs: number): void {
    const share = this.shareOf(kind, tenant);
    share.totalMs += deviceMs;
    share.knownMs.set(place, (share.knownMs.get(place) ?? 0) + deviceMs);
  }

  /** What is to be told there with the tenant's next task; it counts as told. 0: nothing. */
  takeUntold(kind: string, place: Place, tenant: string): number {
    const share = this.shares.get(keyOf(kind, tenant));
    if (share === undefined) return 0;
    const untoldMs = share.totalMs - (share.knownMs.get(place) ?? 0);
    if (untoldMs < toldMsMin) return 0;
    share.knownMs.set(place, share.totalMs);
    return Math.min(untoldMs, toldMsMax);
  }

  forget(place: Place): void {
    for (const { knownMs } of this.shares.values()) knownMs.delete(place);
  }

  private shareOf(kind: string, tenant: string): Share {
    const key = keyOf(kind, tenant);
    let share = this.shares.get(key);
    if (share === undefined) {
      share = { totalMs: 0, knownMs: new Map() };
      this.shares.set(key, share);
    }
    return share;
  }
}

/** No name of a tenant has a space. */
function keyOf(kind: string, tenant: string): string {
  return `${tenant} ${kind}`;
}
