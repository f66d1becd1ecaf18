import fc from 'fast-check';
import type { AxleError } from '@axle/core/internal';
import { describe, expect, it } from 'vitest';

import { noRateLimits, Rates } from '../src/trust/rates.js';

function refusal(rates: Rates, now: number): AxleError | undefined {
  try {
    rates.admit(now);
    return undefined;
  } catch (error) {
    return error as AxleError;
  }
}

describe('rates of a tenant', () => {
  it('let no more calls through in any time than the burst and the rate, and refuse none below them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 40, noNaN: true }), { maxLength: 200 }),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 20 }),
        (gaps, callsPerSecond, callsBurst) => {
          const rates = new Rates('t', { ...noRateLimits, callsPerSecond, callsBurst }, 0);
          const taken: number[] = [];
          let now = 0;
          for (const gap of gaps) {
            now += gap;
            const refused = refusal(rates, now);
            if (refused === undefined) {
              taken.push(now);
              continue;
            }
            // It says when it would be taken, neither sooner nor later.
            const { retryAfterMs = NaN, code, retryable } = refused;
            expect({ code, retryable }).toEqual({ code: 'RESOURCE_EXHAUSTED', retryable: true });
            expect(retryAfterMs).toBeGreaterThan(0);
            expect(retryAfterMs).toBeLessThanOrEqual(1000 / callsPerSecond + 1e-6);
          }
          for (let from = 0; from < taken.length; from++) {
            for (let to = from; to < taken.length; to++) {
              const passedMs = (taken[to] as number) - (taken[from] as number);
              const most = callsBurst + (passedMs * callsPerSecond) / 1000;
              expect(to - from + 1).toBeLessThanOrEqual(most + 1e-6);
            }
          }
        },
      ),
    );
  });

  it('take a call when they said that they would', () => {
    const rates = new Rates('t', { ...noRateLimits, callsPerSecond: 4, callsBurst: 1 }, 0);
    rates.admit(0);
    const { retryAfterMs = 0 } = refusal(rates, 10) ?? {};
    expect(retryAfterMs).toBeCloseTo(240);
    expect(refusal(rates, 10 + retryAfterMs - 1)).toBeDefined();
    expect(refusal(rates, 10 + retryAfterMs + 1e-6)).toBeUndefined();
  });

  it('hold device time over all devices, and what was too much is waited for', () => {
    const rates = new Rates('tenant alice', { ...noRateLimits, deviceMsPerSecond: 500 }, 0);
    rates.admit(0);
    rates.used(1000);
    expect(refusal(rates, 10)).toMatchObject({ retryAfterMs: 990 });
    expect(refusal(rates, 10)?.message).toBe(
      'tenant alice may have 500 ms of devices a second; try again in 990 ms',
    );
    rates.admit(1001);
  });

  it('may change, and what was used stays used', () => {
    const rates = new Rates('t', noRateLimits, 0);
    for (let i = 0; i < 1000; i++) rates.admit(0);
    rates.update({ ...noRateLimits, callsPerSecond: 1, callsBurst: 2 }, 0);
    rates.admit(0);
    rates.admit(0);
    expect(refusal(rates, 0)).toBeDefined();
    rates.update({ ...noRateLimits, callsPerSecond: 1000, callsBurst: 2 }, 0);
    expect(refusal(rates, 0)).toBeDefined();
    expect(refusal(rates, 2)).toBeUndefined();
    rates.update(noRateLimits, 3);
    for (let i = 0; i < 1000; i++) rates.admit(3);
  });
});
