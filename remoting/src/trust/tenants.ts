import { performance } from 'node:perf_hooks';

import type { Limits, QueueDepths, TimeSlice } from '@axle/core/internal';

import { Ledger } from './ledger.js';
import type { Quotas } from './quotas.js';
import { noRateLimits, Rates, type RateLimits } from './rates.js';

/** What an operator says of one tenant. */
export interface TenantSettings {
  /** Share of device time where tenants compete; 1 as a rule. */
  readonly weight: number;
  /** Nobody gets in as it. */
  readonly disabled: boolean;
  /** Its tasks that wait for one device; undefined: as of any tenant. */
  readonly queueDepth?: number | undefined;
  readonly quotas: Quotas;
  /** Default: none. */
  readonly rates?: RateLimits | undefined;
  /** Of each device's time; undefined: what the weight gives. */
  readonly slice?: TimeSlice | undefined;
}

/** What an operator says of all of them. */
export interface TenancySettings {
  /** Of the server as a whole. */
  readonly limits: Quotas;
  /** Of tenants that are not named. */
  readonly others: TenantSettings;
  readonly named: ReadonlyMap<string, TenantSettings>;
}

/** For whom a client works. */
export class Tenant {
  /** Everything that is kept for the tenant is charged here. */
  readonly usage: Ledger;
  readonly rates: Rates;

  constructor(
    readonly name: string,
    public settings: TenantSettings,
    whole: Ledger,
    private readonly clock: () => number,
  ) {
    const { quotas, rates = noRateLimits } = settings;
    this.usage = new Ledger(`tenant ${name}`, quotas, whole);
    this.rates = new Rates(`tenant ${name}`, rates, clock());
  }

  /** Takes one more call in, whatever comes of it. @throws AxleError RESOURCE_EXHAUSTED past its rates. */
  admitCall(): void {
    this.rates.admit(this.clock());
  }

  update(settings: TenantSettings): void {
    this.settings = settings;
    this.usage.quotas = settings.quotas;
    this.rates.update(settings.rates ?? noRateLimits, this.clock());
  }
}

/** Tenants that use nothing are forgotten in one go past this many. */
const tenantsMax = 4096;

/** The tenants of a server. */
export class Tenants {
  private readonly byName = new Map<string, Tenant>();
  private readonly whole: Ledger;

  /** @param clock milliseconds, of any start */
  constructor(
    private settings: TenancySettings,
    private readonly clock: () => number = () => performance.now(),
  ) {
    this.whole = new Ledger('this server', settings.limits);
  }

  /** Those that use something, or did. */
  get all(): Iterable<Tenant> {
    return this.byName.values();
  }

  get(name: string): Tenant {
    const known = this.byName.get(name);
    if (known !== undefined) return known;
    if (this.byName.size >= tenantsMax) this.forgetIdle();
    const tenant = new Tenant(name, this.settingsOf(name), this.whole, this.clock);
    this.byName.set(name, tenant);
    return tenant;
  }

  /** From now on. What tenants use stays counted. */
  update(settings: TenancySettings): void {
    this.settings = settings;
    this.whole.quotas = settings.limits;
    for (const tenant of this.byName.values()) tenant.update(this.settingsOf(tenant.name));
  }

  private settingsOf(name: string): TenantSettings {
    return this.settings.named.get(name) ?? this.settings.others;
  }

  private forgetIdle(): void {
    for (const [name, { usage }] of this.byName) if (usage.isIdle) this.byName.delete(name);
  }
}

/** What a tenant has of each device's time; undefined: what its weight gives. */
export function sliceOf({ named, others }: TenancySettings, tenant: string): TimeSlice | undefined {
  return (named.get(tenant) ?? others).slice;
}

/** Full queues of one tenant that a device's queue has room for, so that one tenant leaves room for others. */
const fullQueuesMax = 4;

/**
 * How many tasks may wait for one device.
 *
 * @param limits where the settings say nothing of tenants that are not named
 */
export function queueDepthsOf({ others, named }: TenancySettings, limits: Limits): QueueDepths {
  const { queueDepthMax, tenantQueueDepthMax } = limits;
  const depths = new Map<string, number>();
  for (const [name, { queueDepth }] of named) {
    if (queueDepth !== undefined) depths.set(name, queueDepth);
  }
  const { queueDepth: tenant } = others;
  if (tenant === undefined)
    return { all: queueDepthMax, tenant: tenantQueueDepthMax, named: depths };
  return { all: fullQueuesMax * tenant, tenant, named: depths };
}
