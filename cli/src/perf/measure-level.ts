import type { LoadClock, LoadEnd, LoadObserver } from '../load/index.js';
import { isStable, stableCount } from './stability.js';
import { grownBy, Tally, Tallying, type AnswerTiming, type ServerSums } from './tally.js';

/** How long answers are waited for once no more requests are made, milliseconds. */
const drainMs = 10_000;

/** How long the server is asked what it did, milliseconds. */
const sumsMs = 1000;

/** A load that runs until `end`. */
export type BeginLoad = (
  observer: LoadObserver<AnswerTiming | undefined>,
  end: LoadEnd,
) => Promise<void>;

export interface LevelSettings {
  /** Items of one request. */
  readonly items: number;
  readonly intervalMs: number;
  readonly stabilityPercent: number;
  readonly trialsMax: number;
  /** Undefined: measured in intervals until three in a row agree. */
  readonly requestCount: number | undefined;
  /** The latency by which measurements are compared, milliseconds. */
  readonly latencyOf: (tally: Tally) => number;
}

export interface LevelSurroundings {
  readonly clock: LoadClock;
  /** Ends it with what was measured so far. */
  readonly signal: AbortSignal;
  /** What the server has done so far, where it counts. */
  readonly serverSums?: (() => Promise<ServerSums | undefined>) | undefined;
  /** Told of each request that ended. */
  readonly onEnd: () => void;
}

export interface Level {
  /** Of the last three measurements; of one where requests were counted. */
  readonly tally: Tally;
  readonly trials: number;
  /** Undefined where requests were counted. */
  readonly stable: boolean | undefined;
  /** It was given up, because in one measurement nothing succeeded. */
  readonly failing: boolean;
  /** Requests that had no answer when all had long been made. */
  readonly unanswered: number;
}

/** Measures one load. */
export async function measureLevel(
  begin: BeginLoad,
  settings: LevelSettings,
  surroundings: LevelSurroundings,
): Promise<Level> {
  const measuring = new LevelMeasuring(begin, settings, surroundings);
  return settings.requestCount === undefined
    ? measuring.inIntervals()
    : measuring.ofRequests(settings.requestCount);
}

class LevelMeasuring {
  private readonly observer: Tallying;
  private readonly stop = new AbortController();
  private readonly ending: AbortSignal;

  constructor(
    private readonly begin: BeginLoad,
    private readonly settings: LevelSettings,
    private readonly surroundings: LevelSurroundings,
  ) {
    this.observer = new Tallying(surroundings.onEnd);
    this.ending = AbortSignal.any([surroundings.signal, this.stop.signal]);
  }

  async ofRequests(requests: number): Promise<Level> {
    const tally = await this.tallied(async () => {
      const load = this.begin(this.observer, { signal: this.ending, requests });
      await Promise.race([load, aborted(this.surroundings.signal)]);
    });
    return { tally, trials: 1, stable: undefined, failing: isFailing(tally), unanswered: 0 };
  }

  async inIntervals(): Promise<Level> {
    const { clock, signal } = this.surroundings;
    const { intervalMs, stabilityPercent, trialsMax, latencyOf } = this.settings;
    const load = this.begin(this.observer, { signal: this.ending });
    const last: Tally[] = [];
    let trials = 0;
    let stable = false;
    let failing = false;
    while (!stable && !failing && trials < trialsMax && !signal.aborted) {
      const tally = await this.tallied(() => clock.until(clock.now() + intervalMs, signal));
      trials += 1;
      last.push(tally);
      if (last.length > stableCount) last.shift();
      failing = isFailing(tally);
      stable = isStable(last, stabilityPercent, latencyOf);
    }
    this.stop.abort();
    if (!signal.aborted) await this.drain(load);
    const all = new Tally(this.settings.items);
    for (const tally of last) all.add(tally);
    const unanswered = signal.aborted ? 0 : this.observer.outstanding;
    return { tally: all, trials, stable, failing, unanswered };
  }

  private async drain(load: Promise<void>): Promise<void> {
    const { clock, signal } = this.surroundings;
    const drained = new AbortController();
    const patience = AbortSignal.any([signal, drained.signal]);
    await Promise.race([load, clock.until(clock.now() + drainMs, patience)]);
    drained.abort();
  }

  /** Of a server that is gone, the requests tell; what was measured of them before is still good. */
  private async serverSums(): Promise<ServerSums | undefined> {
    const { clock, serverSums } = this.surroundings;
    const asked = new AbortController();
    const nothing = () => undefined;
    const sums = await Promise.race([
      serverSums?.().catch(nothing),
      clock.until(clock.now() + sumsMs, asked.signal).then(nothing),
    ]);
    asked.abort();
    return sums;
  }

  private async tallied(run: () => Promise<void>): Promise<Tally> {
    const { clock } = this.surroundings;
    const before = await this.serverSums();
    const tally = new Tally(this.settings.items);
    const startedAt = clock.now();
    this.observer.tally = tally;
    await run();
    this.observer.tally = undefined;
    tally.durationMs = clock.now() - startedAt;
    const after = before === undefined ? undefined : await this.serverSums();
    if (before !== undefined && after !== undefined) tally.server = grownBy(before, after);
    return tally;
  }
}

function isFailing({ succeeded, failed }: Tally): boolean {
  return succeeded === 0 && failed > 0;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => {
      resolve();
    });
  });
}
