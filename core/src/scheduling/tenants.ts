/** One tenant's account of device time. */
export interface Tenant {
  readonly name: string;
  weight: number;
  /** Device time that it had, over its weight, milliseconds; counted from where it last came out of idleness. */
  virtualMs: number;
  /** Its tasks that wait. */
  waiting: number;
}

/** Idle tenants are forgotten in one go past this many. */
const tenantsMax = 1024;

/**
 * Shares device time out by weight with virtual times (start-time fair queueing; Goyal, Vin and Cheng, SIGCOMM 1996):
 * the tenant with the least goes first, and one that was idle starts at what the others have, so that idleness saves
 * nothing up.
 */
export class Tenants {
  private readonly byName = new Map<string, Tenant>();
  /** Virtual time of the tenant that was served last, before it was charged. */
  private servedMs = 0;

  /** The account of a tenant that gets one more waiting task. */
  arrive(name: string, weight: number): Tenant {
    let tenant = this.byName.get(name);
    if (tenant === undefined) {
      if (this.byName.size >= tenantsMax) this.forgetIdle();
      tenant = { name, weight, virtualMs: 0, waiting: 0 };
      this.byName.set(name, tenant);
    }
    tenant.weight = weight;
    if (tenant.waiting === 0) {
      // Not later than those that wait: they may be below another priority, which took the time.
      const nowMs = Math.min(this.servedMs, this.leastWaitingMs(tenant));
      tenant.virtualMs = Math.max(tenant.virtualMs, nowMs);
    }
    tenant.waiting += 1;
    return tenant;
  }

  /** Tasks of a tenant that wait. */
  waitingOf(name: string): number {
    return this.byName.get(name)?.waiting ?? 0;
  }

  /** To be called for the tenant whose turn it is, before it is charged. */
  serve(tenant: Tenant): void {
    this.servedMs = Math.max(this.servedMs, tenant.virtualMs);
  }

  charge(tenant: Tenant, deviceMs: number): void {
    tenant.virtualMs += deviceMs / tenant.weight;
  }

  /** The least virtual time of those with waiting tasks, but for `except`; Infinity without any. */
  leastWaitingMs(except: Tenant): number {
    let least = Infinity;
    for (const tenant of this.byName.values()) {
      if (tenant !== except && tenant.waiting > 0) least = Math.min(least, tenant.virtualMs);
    }
    return least;
  }

  private forgetIdle(): void {
    for (const [name, tenant] of this.byName) {
      if (tenant.waiting === 0 && tenant.virtualMs <= this.servedMs) this.byName.delete(name);
    }
  }
}
