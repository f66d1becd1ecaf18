import type { TimeSlice } from '@axle/core/internal';

import { defaultQuotas, defaultServerLimits, type Quotas } from '../../trust/quotas.js';
import { noRateLimits, type RateLimits } from '../../trust/rates.js';
import type { StrictObject } from '../../trust/strict-object.js';
import type { TenancySettings, TenantSettings } from '../../trust/tenants.js';
import type { ConfigFile } from './config-file.js';

const rateMin = 0.001;
const rateMax = 1_000_000_000;
const windowMsMin = 10;
const windowMsMax = 60_000;
const windowMsDefault = 100;
const limitMin = 0.001;
/** Of parts that add up to 1 but for how they are written. */
const sumTolerance = 1e-9;

export function readRates(fields: StrictObject): Partial<RateLimits> {
  if (!fields.has('rates')) return {};
  const rates = fields.object('rates');
  const read: Record<string, number> = {};
  for (const name of ['callsPerSecond', 'deviceMsPerSecond'] as const) {
    if (rates.has(name)) read[name] = rates.number(name, rateMin, rateMax);
  }
  if (rates.has('callsBurst')) read['callsBurst'] = rates.wholeNumber('callsBurst', 1, rateMax);
  if (read['callsBurst'] !== undefined && read['callsPerSecond'] === undefined) {
    throw rates.refusal('callsBurst', 'is of no use alone', 'callsPerSecond with it');
  }
  rates.end();
  return read;
}

/** What a tenant has of each device's time, other than by its weight. */
export function readSlice(fields: StrictObject): TimeSlice | undefined {
  if (!fields.has('slice')) return undefined;
  const slice = fields.object('slice');
  const read = {
    request: slice.has('request') ? slice.number('request', 0, 1) : 0,
    limit: slice.has('limit') ? slice.number('limit', limitMin, 1) : 1,
    windowMs: slice.has('windowMs')
      ? slice.wholeNumber('windowMs', windowMsMin, windowMsMax)
      : windowMsDefault,
  };
  if (read.request > read.limit) {
    throw slice.refusal('request', 'is more than its limit', 'one that is at most that');
  }
  slice.end();
  return read;
}

/** What tenants are sure of must be there. @throws AxleError INVALID_ARGUMENT */
export function checkSlices(
  fields: StrictObject,
  others: TimeSlice | undefined,
  named: Iterable<{ readonly slice?: TimeSlice | undefined }>,
): void {
  if ((others?.request ?? 0) > 0) {
    throw fields.refusal('slice', 'has a request for tenants without number', 'it to each by name');
  }
  let sum = 0;
  for (const { slice } of named) sum += slice?.request ?? 0;
  if (sum <= 1 + sumTolerance) return;
  throw fields.refusal(
    'tenants',
    `are promised ${sum.toFixed(3)} of each device between them`,
    'requests of slices that are at most 1 together',
  );
}

/** As many as a tenant may have calls, by default. */
const defaultTenantQueueDepth = 4096;

/** What is one tenant's at several fronts of a pool, and of which each has a part. */
const divided = ['connections', 'calls', 'requestBytes', 'answerBytes'] as const;

export function tenancyOf(config: ConfigFile): TenancySettings {
  const { limits, fronts = 1 } = config;
  const quotas = { ...defaultQuotas, ...config.quotas };
  const others: TenantSettings = {
    ...{ weight: 1, disabled: false, quotas: quotasOf(quotas, fronts) },
    queueDepth: config.tenantQueueDepth ?? defaultTenantQueueDepth,
    ...{ rates: ratesOf(config.rates ?? {}, fronts), slice: config.slice },
  };
  const named = new Map<string, TenantSettings>();
  for (const [name, tenant] of config.tenants) {
    named.set(name, {
      ...tenant,
      quotas: quotasOf({ ...quotas, ...tenant.quotas }, fronts),
      rates: ratesOf({ ...config.rates, ...tenant.rates }, fronts),
      slice: tenant.slice ?? config.slice,
    });
  }
  return { limits: { ...defaultServerLimits(), ...limits }, others, named };
}

function quotasOf(quotas: Quotas, fronts: number): Quotas {
  if (fronts === 1) return quotas;
  const parts = divided.map((name) => [name, Math.ceil(quotas[name] / fronts)] as const);
  return { ...quotas, ...Object.fromEntries(parts) };
}

function ratesOf(rates: Partial<RateLimits>, fronts: number): RateLimits {
  const all = { ...noRateLimits, ...rates };
  const { callsPerSecond, deviceMsPerSecond } = all;
  // Otherwise a second's worth, and at least one call.
  const callsBurst = rates.callsBurst ?? Math.max(1, callsPerSecond);
  return {
    callsPerSecond: callsPerSecond / fronts,
    callsBurst: Math.max(1, callsBurst / fronts),
    deviceMsPerSecond: deviceMsPerSecond / fronts,
  };
}
