import { sameSlice, SliceAccount, type TimeSlice } from './time-slices.js';

/** One tenant's account of device time. */
export interface Tenant {
  readonly name: string;
  weight: number;
  /** Device time that it had, over its weight, milliseconds; counted from where it last came out of idleness. */
  virtualMs: number;
  /** Its tasks that wait. */
  waiting: number;
  /** Its tasks on the device. */
  sent: number;
  /** Undefined: as much as its weight gives it. */
  slice: SliceAccount | undefined;
  /** Device time that it had elsewhere and that is not charged here yet, milliseconds. */
  owedMs: number;
}

/** Whose tasks they are, and what part of device time is theirs beside others. */
export interface TenantShare {
  readonly tenant: string;
  readonly weight: number;
}

/** What is in front of a new task of a tenant. */
export interface TasksAhead {
  /** Tasks of the tenant that wait, or are on the device. */
  readonly own: number;
  /** How many times the time of one of them passes until the turn of the next, as others with tasks have theirs by weight. */
  readonly turns: number;
}

/** Idle tenants are forgotten in one go past this many. */
const tenantsMax = 1024;
/** Of what a tenant had elsewhere, the most that counts here at a time, milliseconds: what is long ago is no debt. */
export const owedMsMax = 1000;
/**
 * A task counts as at most so many times itself more while its tenant has device time elsewhere: it goes behind others,
 * and not without end.
 */
const owedFactor = 15;

/**
 * Shares device time out by weight with virtual times (start-time fair queueing; Goyal, Vin and Cheng, SIGCOMM 1996):
 * the tenant with the least goes first, and one that was idle starts at what the others have, so that idleness saves
 * nothing up.
 */
export class Tenants {
  /** @param parallel batches that the device computes at once */
  constructor(private readonly parallel = 1) {}

  private readonly byName = new Map<string, Tenant>();
  /** Virtual time of the tenant that was served last, before it was charged. */
  private servedMs = 0;

  /** The account of a tenant that gets one more waiting task. */
  arrive(name: string, weight: number, slice?: TimeSlice): Tenant {
    const tenant = this.get(name);
    tenant.weight = weight;
    if (tenant.slice !== undefined || slice !== undefined) this.sliceOf(name, slice);
    if (tenant.waiting === 0) {
      // Not later than those that wait: they may be below another priority, which took the time.
      const nowMs = Math.min(this.servedMs, this.leastWaitingMs(tenant));
      const idleMs = nowMs - tenant.virtualMs;
      if (idleMs > 0) {
        // What it had elsewhere meanwhile, others had here.
        tenant.owedMs = Math.max(0, tenant.owedMs - idleMs * weight);
        tenant.virtualMs = nowMs;
      }
    }
    tenant.waiting += 1;
    return tenant;
  }

  /** The account of a tenant's slice, which begins anew where the slice is another than before. */
  sliceOf(name: string, slice: TimeSlice | undefined): SliceAccount | undefined {
    const tenant = slice === undefined ? this.byName.get(name) : this.get(name);
    if (tenant !== undefined && !sameSlice(tenant.slice?.slice, slice)) {
      tenant.slice = slice && new SliceAccount(slice, this.parallel);
    }
    return tenant?.slice;
  }

  /** Tasks of a tenant that wait. */
  waitingOf(name: string): number {
    return this.byName.get(name)?.waiting ?? 0;
  }

  aheadOf({ tenant: name, weight }: TenantShare): TasksAhead {
    let own = 0;
    let otherWeights = 0;
    for (const tenant of this.byName.values()) {
      const tasks = tenant.waiting + tenant.sent;
      if (tenant.name === name) own = tasks;
      else if (tasks > 0) otherWeights += tenant.weight;
    }
    return { own, turns: 1 + otherWeights / weight };
  }

  /** To be called for the tenant whose turn it is, before it is charged. */
  serve(tenant: Tenant): void {
    this.servedMs = Math.max(this.servedMs, tenant.virtualMs);
  }

  charge(tenant: Tenant, deviceMs: number): void {
    const sharedMs = tenant.slice === undefined ? deviceMs : tenant.slice.charge(deviceMs);
    tenant.virtualMs += sharedMs / tenant.weight;
  }

  /**
   * A tenant had device time on other devices of the same pool (distributed start-time fair queueing; Wang and Merchant,
   * "Proportional-Share Scheduling for Distributed Storage Systems", FAST 2007). It is charged with the tasks that follow.
   */
  owe(name: string, deviceMs: number): void {
    const tenant = this.get(name);
    tenant.owedMs = Math.min(owedMsMax, tenant.owedMs + deviceMs);
  }

  /** To be called when a batch with work of the tenant begins, which is expected to take so much of it. */
  payOwed(tenant: Tenant, deviceMs: number): void {
    if (tenant.owedMs === 0) return;
    const paidMs = Math.min(tenant.owedMs, owedFactor * deviceMs);
    tenant.owedMs -= paidMs;
    tenant.virtualMs += paidMs / tenant.weight;
  }

  /** The least virtual time of those with waiting tasks, but for `except`; Infinity without any. */
  leastWaitingMs(except: Tenant): number {
    let least = Infinity;
    for (const tenant of this.byName.values()) {
      if (tenant !== except && tenant.waiting > 0) least = Math.min(least, tenant.virtualMs);
    }
    return least;
  }

  private get(name: string): Tenant {
    let tenant = this.byName.get(name);
    if (tenant === undefined) {
      if (this.byName.size >= tenantsMax) this.forgetIdle();
      tenant = { name, weight: 1, virtualMs: 0, waiting: 0, sent: 0, slice: undefined, owedMs: 0 };
      this.byName.set(name, tenant);
    }
    return tenant;
  }

  private forgetIdle(): void {
    for (const [name, tenant] of this.byName) {
      const isIdle = tenant.waiting + tenant.sent === 0;
      if (isIdle && tenant.virtualMs <= this.servedMs) this.byName.delete(name);
    }
  }
}
