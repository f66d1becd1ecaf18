import type { LatencyHistogram } from '../load/index.js';
import { printable } from '../printable.js';
import { formatTable } from '../table.js';
import type { Painter } from '../terminal.js';
import { threeDigits } from '../units.js';
import { percentilesWith, serverMeans, warningsOf, type MeasuredLevel } from './measured-level.js';
import type { Target } from './target.js';

export interface PerfReport {
  readonly target: Pick<Target, 'name' | 'via' | 'items'>;
  readonly levels: readonly MeasuredLevel[];
  /** Besides those that are always shown. */
  readonly percentile: number | undefined;
  readonly seed: number;
}

/** For people. */
export function formatPerf({ target, levels, percentile }: PerfReport, paint: Painter): string {
  const { name, via, items } = target;
  const shown = percentilesWith(percentile);
  const byRate = levels[0]?.by === 'rate';
  const hasServer = levels.some(({ tally }) => serverMeans(tally.server) !== undefined);
  const header = [
    byRate ? 'REQUESTS/S' : 'CONCURRENCY',
    items === 1 ? 'ANSWERED/S' : 'ITEMS/S',
    'MEAN',
    ...shown.map((percent) => `P${percent}`),
    'MAX',
    ...(hasServer ? ['QUEUE', 'TRANSFER', 'COMPUTE', 'BATCH'] : []),
    'FAILED',
    ...(byRate ? ['NOT SENT', 'LATE P99'] : []),
  ];
  const rows = levels.map(({ load, tally }) => {
    const { latency, lateness, failed, notSent } = tally;
    const means = serverMeans(tally.server);
    return [
      String(load),
      figure(tally.inferencesPerSecond),
      figure(latency.mean),
      ...shown.map((percent) => figure(latency.percentile(percent))),
      figure(latency.max),
      ...(hasServer
        ? [means?.queueMs, transferMs(means), means?.inferMs, means?.batchSize].map(figure)
        : []),
      String(failed),
      ...(byRate ? [String(notSent), figure(lateness.percentile(99))] : []),
    ];
  });
  const batch = items === 1 ? '' : `, ${items} items in a request`;
  return `${printable(name)} through ${printable(via)}${batch}; times in ms\n${formatTable(header, rows, paint)}`;
}

function transferMs(means: ReturnType<typeof serverMeans>): number | undefined {
  return means === undefined ? undefined : means.inputMs + (means.outputMs ?? 0);
}

function figure(value: number | undefined): string {
  return value === undefined || !Number.isFinite(value) ? '-' : threeDigits(value);
}

/** For programs. */
export function perfJson({ target, levels, percentile, seed }: PerfReport): object {
  const { name, via, items } = target;
  return {
    target: name,
    via,
    batchSize: items,
    seed,
    levels: levels.map((level) => levelJson(level, percentilesWith(percentile))),
  };
}

function levelJson(level: MeasuredLevel, percents: readonly number[]): object {
  const { by, load, tally, trials, stable, failing, withinThreshold, unanswered, interrupted } =
    level;
  const means = serverMeans(tally.server);
  return {
    ...(by === 'concurrency' ? { concurrency: load } : { requestRate: load }),
    requests: tally.succeeded,
    failed: tally.failed,
    failures: [...tally.failures.values()],
    ...(by === 'rate' ? { notSent: tally.notSent } : {}),
    unanswered,
    durationMs: tally.durationMs,
    requestsPerSecond: number(tally.requestsPerSecond),
    inferencesPerSecond: number(tally.inferencesPerSecond),
    latencyMs: histogramJson(tally.latency, percents),
    ...(by === 'rate' ? { latenessMs: histogramJson(tally.lateness, [50, 99]) } : {}),
    server: means ?? null,
    trials,
    stable: stable ?? null,
    failing,
    withinThreshold: withinThreshold ?? null,
    interrupted,
    warnings: warningsOf(level),
  };
}

function histogramJson(histogram: LatencyHistogram, percents: readonly number[]): object {
  return {
    mean: number(histogram.mean),
    min: number(histogram.min),
    ...Object.fromEntries(
      percents.map((percent) => [`p${percent}`, number(histogram.percentile(percent))]),
    ),
    max: number(histogram.max),
  };
}

/** JSON has no NaN. */
function number(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
