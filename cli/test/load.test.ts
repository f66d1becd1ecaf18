import { setImmediate as nextTurn } from 'node:timers/promises';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  closedLoop,
  constantGaps,
  LatencyHistogram,
  openLoop,
  poissonGaps,
  SeededRandom,
  type LoadClock,
  type LoadRequest,
  type OpenLoopOptions,
} from '../src/load/index.js';
import { VirtualClock } from './virtual-clock.js';

/** What a load does, by the clock. */
function recorded(clock: LoadClock) {
  const sent: LoadRequest[] = [];
  const latencies: number[] = [];
  const failures: unknown[] = [];
  const notSent: number[] = [];
  return {
    clock,
    sent,
    latencies,
    failures,
    notSent,
    observer: {
      sent: (request: LoadRequest) => sent.push(request),
      succeeded: ({ dueAt }: LoadRequest, endedAt: number) => latencies.push(endedAt - dueAt),
      failed: (_request: LoadRequest, _endedAt: number, error: unknown) => failures.push(error),
      notSent: (dueAt: number) => notSent.push(dueAt),
    },
  };
}

/** A request every 10 ms, answered at once, where nothing else is said. */
function everyTenMs(
  load: ReturnType<typeof recorded>,
  options: Partial<OpenLoopOptions<unknown>>,
): Promise<void> {
  const { clock, observer } = load;
  return openLoop({
    clock,
    observer,
    gaps: constantGaps(100),
    outstandingMax: 100,
    send: () => Promise.resolve(),
    end: {},
    ...options,
  });
}

describe('an open loop', () => {
  it('sends what is due, whether or not there are answers, and counts from then', async () => {
    const clock = new VirtualClock();
    const load = recorded(clock);
    // Nobody is answered before 45.
    const ended = everyTenMs(load, { send: () => clock.until(45), end: { atMs: 60 } });
    await clock.advanceTo(40);
    expect(load.sent.map(({ dueAt }) => dueAt)).toEqual([10, 20, 30, 40]);
    await clock.advanceTo(100);
    await ended;
    expect(load.sent.map(({ dueAt }) => dueAt)).toEqual([10, 20, 30, 40, 50]);
    expect(load.latencies).toEqual([35, 25, 15, 5, 0]);
  });

  it('was late where requests are sent late: it counts as theirs', async () => {
    const clock = new VirtualClock(25);
    const load = recorded(clock);
    const ended = everyTenMs(load, { end: { requests: 4 } });
    await clock.advanceTo(1000);
    await ended;
    // The first wait, for 10, ends at 35; the next one, for 40, at 65.
    expect(load.sent.map(({ dueAt, sentAt }) => [dueAt, sentAt])).toEqual([
      [10, 35],
      [20, 35],
      [30, 35],
      [40, 65],
    ]);
    expect(load.latencies).toEqual([25, 15, 5, 25]);
  });

  it('has a bound on requests that are outstanding, and tells of each one over it', async () => {
    const clock = new VirtualClock();
    const load = recorded(clock);
    const ended = everyTenMs(load, {
      outstandingMax: 2,
      send: () => clock.until(35),
      end: { requests: 6 },
    });
    await clock.advanceTo(100);
    await ended;
    expect(load.sent.map(({ dueAt }) => dueAt)).toEqual([10, 20, 40, 50, 60]);
    expect(load.notSent).toEqual([30]);
  });

  it('goes on after failures, thrown at once or later', async () => {
    const clock = new VirtualClock();
    const load = recorded(clock);
    const ended = everyTenMs(load, {
      outstandingMax: 1,
      send: ({ index }) => {
        if (index === 0) throw new Error('at once');
        return index === 1 ? Promise.reject(new Error('later')) : Promise.resolve();
      },
      end: { requests: 3 },
    });
    await clock.advanceTo(100);
    await ended;
    expect(load.failures.map(String)).toEqual(['Error: at once', 'Error: later']);
    expect(load.latencies).toEqual([0]);
  });

  it('ends with its signal in the middle of a wait', async () => {
    const clock = new VirtualClock();
    const stop = new AbortController();
    const ended = everyTenMs(recorded(clock), { end: { signal: stop.signal } });
    await clock.advanceTo(15);
    stop.abort();
    await ended;
  });

  it('ends with what an observer throws', async () => {
    const clock = new VirtualClock();
    const observer = {
      succeeded: () => {
        throw new Error('of the observer');
      },
      failed: () => undefined,
    };
    const refused = expect(everyTenMs(recorded(clock), { observer })).rejects.toThrow(
      'of the observer',
    );
    await clock.advanceTo(50);
    await refused;
  });
});

describe('a closed loop', () => {
  it('keeps as many requests outstanding as it has callers', async () => {
    const clock = new VirtualClock();
    const { observer, sent, latencies } = recorded(clock);
    const load = closedLoop({
      clock,
      observer,
      concurrency: 3,
      send: () => clock.until(clock.now() + 10),
      end: { requests: 7 },
    });
    await clock.advanceTo(15);
    expect(sent.map(({ sentAt }) => sentAt)).toEqual([0, 0, 0, 10, 10, 10]);
    await clock.advanceTo(100);
    await load;
    expect(latencies).toEqual([10, 10, 10, 10, 10, 10, 10]);
    expect(sent.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('lets others run where all fails at once, and ends', async () => {
    const clock = new VirtualClock();
    const { observer, failures } = recorded(clock);
    const stop = new AbortController();
    const load = closedLoop({
      clock,
      observer,
      concurrency: 1,
      send: () => Promise.reject(new Error('no server')),
      end: { signal: stop.signal },
    });
    await nextTurn();
    stop.abort();
    await load;
    expect(failures.length).toBeGreaterThan(0);
  });
});

describe('arrivals', () => {
  it('by Poisson are the same for a seed, never back in time, and as many as asked for', () => {
    const rates = fc.double({ min: 0.01, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), rates, (seed, perSecond) => {
        const gapsOf = () => {
          const gaps = poissonGaps(perSecond, new SeededRandom(seed));
          return Array.from({ length: 4000 }, gaps);
        };
        const gaps = gapsOf();
        expect(gapsOf()).toEqual(gaps);
        expect(gaps.every((gap) => gap >= 0 && Number.isFinite(gap))).toBe(true);
        const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length / (1000 / perSecond);
        // The standard error of the mean is 1.6 %.
        expect(Math.abs(mean - 1)).toBeLessThan(0.1);
        // Exponential: as wide as its mean.
        const variance = gaps.reduce((sum, gap) => sum + (gap * perSecond - 1000) ** 2, 0);
        expect(Math.sqrt(variance / gaps.length) / 1000).toBeGreaterThan(0.85);
      }),
      { numRuns: 30 },
    );
  });

  it('at a constant rate are even', () => {
    const gaps = constantGaps(250);
    expect([gaps(), gaps()]).toEqual([4, 4]);
  });
});

describe('a histogram', () => {
  it('has percentiles to three digits, in memory that does not grow', () => {
    const histogram = new LatencyHistogram();
    for (let ms = 1; ms <= 1000; ms += 1) histogram.record(ms);
    for (const percent of [50, 90, 99, 99.9]) {
      expect(Math.abs(histogram.percentile(percent) / (percent * 10) - 1)).toBeLessThan(2e-3);
    }
    expect(histogram.mean).toBeCloseTo(500.5, 0);
  });

  it('adds up with others, has nothing of none, and no bound that breaks it', () => {
    const histogram = new LatencyHistogram();
    expect([histogram.mean, histogram.min, histogram.max, histogram.percentile(50)]).toEqual([
      NaN,
      NaN,
      NaN,
      NaN,
    ]);
    histogram.add(new LatencyHistogram());
    expect(histogram.count).toBe(0);
    const other = new LatencyHistogram();
    other.record(0);
    other.record(1e12);
    histogram.record(2);
    histogram.add(other);
    expect(histogram.count).toBe(3);
    expect(histogram.percentile(50)).toBeCloseTo(2, 2);
  });
});
