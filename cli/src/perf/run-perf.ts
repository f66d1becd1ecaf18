import { AtomicFile } from '../atomic-file.js';
import { printError } from '../error-line.js';
import { ExitCode, UsageError } from '../failure.js';
import {
  closedLoop,
  constantGaps,
  exactClock,
  openLoop,
  poissonGaps,
  SeededRandom,
  type LoadOptions,
} from '../load/index.js';
import { Progress } from '../progress.js';
import type { CommandContext } from '../session.js';
import { print } from '../standard-output.js';
import { painterFor } from '../terminal.js';
import { searchByHalves, searchUp, type Verdict } from './level-range.js';
import { measureLevel, type BeginLoad, type Level } from './measure-level.js';
import { latencyBy, levelName, warningsOf, type MeasuredLevel } from './measured-level.js';
import { formatCsv } from './perf-csv.js';
import { readSearch, type PerfCommandOptions, type Search } from './perf-options.js';
import { formatPerf, perfJson } from './perf-report.js';
import type { AnswerTiming } from './tally.js';
import type { Target } from './target.js';

const clock = exactClock;
/** Callers that make the warm-up requests. */
const warmUpConcurrency = 16;
const ops: ReadonlySet<string> = new Set(['classify', 'compress', 'decompress', 'echo']);

/** Measures, and says what was measured: also of what was interrupted. */
export async function runPerf(
  what: string,
  options: PerfCommandOptions,
  { signal }: CommandContext,
): Promise<void> {
  const search = readSearch(options);
  // A place that cannot be written to is found out before the work, not after.
  const csv =
    options.csv === undefined
      ? undefined
      : await AtomicFile.create(options.csv, { overwrite: true });
  try {
    const target = await openTarget(what, options, signal);
    try {
      await warmUp(target, options.warmupRequestCount, signal);
      const levels = await new PerfRun(target, search, options, signal).levels();
      await report(target, levels, options);
      await csv?.write(Buffer.from(formatCsv(levels, options.percentile)));
      await csv?.commit();
      if (isFailure(levels)) process.exitCode = ExitCode.failure;
    } finally {
      await target.close();
    }
  } finally {
    await csv?.discard();
  }
}

/** What needs core or a protocol is loaded when it is wanted. */
async function openTarget(
  what: string,
  options: PerfCommandOptions,
  signal: AbortSignal,
): Promise<Target> {
  const { door } = options;
  if (door === undefined) {
    const { openClientTarget } = await import('./client-target.js');
    return openClientTarget(what, options, signal);
  }
  if (ops.has(what)) {
    throw new UsageError(
      `doors of KServe run models only; leave --door out, and give --on for ${what}`,
    );
  }
  const { openDoorTarget } = await import('./door-target.js');
  return openDoorTarget(door, what, options);
}

async function warmUp(target: Target, requests: number, signal: AbortSignal): Promise<void> {
  if (requests === 0) return;
  const progress = new Progress({ label: 'warm-up', total: requests, unit: 'items' });
  const advance = () => {
    progress.advance(1);
  };
  await closedLoop({
    clock,
    concurrency: Math.min(requests, warmUpConcurrency),
    send: ({ index }) => target.send(index),
    // What fails here fails where it is counted, too.
    observer: { succeeded: advance, failed: advance },
    end: { requests, signal },
  });
  progress.stop();
}

/** The levels of one search. */
class PerfRun {
  private readonly measured: MeasuredLevel[] = [];

  constructor(
    private readonly target: Target,
    private readonly search: Search,
    private readonly options: PerfCommandOptions,
    private readonly signal: AbortSignal,
  ) {}

  /** By their loads, rising. */
  async levels(): Promise<readonly MeasuredLevel[]> {
    const { range, levelMax, halves } = this.search;
    const measure = (load: number) => this.measure(load);
    await (halves ? searchByHalves(range, measure) : searchUp(range, levelMax, measure));
    return this.measured.sort((a, b) => a.load - b.load);
  }

  private async measure(load: number): Promise<Verdict> {
    if (this.signal.aborted) return 'stop';
    const { by } = this.search;
    const { latencyThreshold: thresholdMs, percentile, requestCount } = this.options;
    const latencyOf = latencyBy(percentile);
    const label = levelName(by, load);
    const progress = new Progress({ label, total: requestCount, unit: 'items' });
    try {
      const level = await measureLevel(
        this.loadOf(load),
        {
          items: this.target.items,
          intervalMs: this.options.measurementInterval,
          stabilityPercent: this.options.stabilityPercentage,
          trialsMax: this.options.maxTrials,
          requestCount,
          latencyOf,
        },
        {
          clock,
          signal: this.signal,
          serverSums: this.target.serverSums,
          onEnd: () => {
            progress.advance(1);
          },
        },
      );
      const { aborted: interrupted } = this.signal;
      const { failed, notSent } = level.tally;
      const withinThreshold =
        thresholdMs === undefined
          ? undefined
          : // The latencies of the others say nothing of these.
            failed === 0 && notSent === 0 && latencyOf(level.tally) <= thresholdMs;
      this.measured.push({ ...level, by, load, withinThreshold, interrupted });
      if (interrupted || isLost(level)) return 'stop';
      return withinThreshold === false ? 'missed' : 'met';
    } finally {
      progress.stop();
    }
  }

  private loadOf(load: number): BeginLoad {
    const { requestDistribution, maxOutstanding: outstandingMax, seed } = this.options;
    return (observer, end) => {
      const common: LoadOptions<AnswerTiming | undefined> = {
        clock,
        send: ({ index }) => this.target.send(index),
        observer,
        end,
      };
      if (this.search.by === 'concurrency') return closedLoop({ ...common, concurrency: load });
      // From the same seed for each level, so that they differ in nothing but the rate.
      const gaps =
        requestDistribution === 'poisson'
          ? poissonGaps(load, new SeededRandom(seed))
          : constantGaps(load);
      return openLoop({ ...common, gaps, outstandingMax });
    };
  }
}

async function report(
  target: Target,
  levels: readonly MeasuredLevel[],
  { json, percentile, seed }: PerfCommandOptions,
): Promise<void> {
  const all = { target, levels, percentile, seed };
  for (const warning of levels.flatMap(warningsOf)) printError(warning);
  await print(
    json
      ? `${JSON.stringify(perfJson(all), null, 2)}\n`
      : formatPerf(all, painterFor(process.stdout)),
  );
}

/** There is nothing more to be had of the server. */
function isLost({ tally, failing, unanswered }: Level): boolean {
  return failing || unanswered > 0 || tally.succeeded === 0;
}

/** Nothing was answered at some load, or a latency was asked for that no load keeps. */
function isFailure(levels: readonly MeasuredLevel[]): boolean {
  return levels.some(isLost) || levels.every(({ withinThreshold }) => withinThreshold === false);
}
