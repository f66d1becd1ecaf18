import type { LatencyHistogram } from '../load/index.js';
import type { Level } from './measure-level.js';
import type { Search } from './perf-options.js';
import type { ServerSums, Tally } from './tally.js';

/** One load, and what came of it. */
export interface MeasuredLevel extends Level {
  readonly by: Search['by'];
  /** Requests that are outstanding, or requests a second. */
  readonly load: number;
  /** Undefined where there is no threshold. */
  readonly withinThreshold: boolean | undefined;
  /** It was stopped before it was done. */
  readonly interrupted: boolean;
}

/** The latency that is compared: of a percentile, or the mean, milliseconds. */
export function latencyBy(percentile: number | undefined): (tally: Tally) => number {
  return ({ latency }) =>
    percentile === undefined ? latency.mean : latency.percentile(percentile);
}

/** The percentiles that are shown: those of perf_analyzer, and the one that was asked for. */
export function percentilesWith(asked: number | undefined): number[] {
  const shown = [50, 90, 95, 99];
  return asked === undefined || shown.includes(asked) ? shown : [...shown, asked];
}

/** Of one request, on average, milliseconds. */
export interface ServerMeans {
  readonly queueMs: number;
  readonly inputMs: number;
  readonly inferMs: number;
  readonly outputMs: number | undefined;
  /** Items that were computed together. */
  readonly batchSize: number;
}

/** Undefined where the server said nothing, or did nothing. */
export function serverMeans(sums: ServerSums | undefined): ServerMeans | undefined {
  if (sums === undefined || sums.requests === 0) return undefined;
  const { requests, queueMs, inputMs, inferMs, outputMs } = sums;
  return {
    queueMs: queueMs / requests,
    inputMs: inputMs / requests,
    inferMs: inferMs / requests,
    outputMs: outputMs === undefined ? undefined : outputMs / requests,
    batchSize: sums.inferences / Math.max(1, sums.executions),
  };
}

/** Of that much of their latency, it would be the generator's doing. */
const lateShareMax = 0.1;
/** Any machine is that late at times, milliseconds. */
const lateMsMin = 2;

/** What makes the figures of a level mean less than they seem to. */
export function warningsOf({
  by,
  load,
  tally,
  stable,
  trials,
  failing,
  unanswered,
  interrupted,
}: MeasuredLevel): string[] {
  const name = levelName(by, load);
  const warnings: string[] = [];
  const { latency, lateness, notSent, failures, succeeded } = tally;
  for (const { code, count, message } of failures.values()) {
    warnings.push(`${name}: ${count} failed with ${code}: ${message}`);
  }
  if (succeeded === 0 && failures.size === 0 && !interrupted) {
    warnings.push(`${name}: no answer in ${Math.round(tally.durationMs)} ms; measure for longer`);
  } else if (stable === false && !failing && !interrupted) {
    warnings.push(`${name}: not stable after ${trials} measurements`);
  }
  if (notSent > 0) {
    warnings.push(
      `${name}: ${notSent} requests were not sent, as too many had no answer; the latencies are of the others`,
    );
  }
  if (unanswered > 0) warnings.push(`${name}: ${unanswered} requests were never answered`);
  if (by === 'rate' && isLate(lateness, latency)) {
    warnings.push(
      `${name}: this generator did not keep up; 1 % of requests were sent more than ` +
        `${lateness.percentile(99).toFixed(1)} ms late, which counts in their latency`,
    );
  }
  return warnings;
}

function isLate(lateness: LatencyHistogram, latency: LatencyHistogram): boolean {
  const lateMs = lateness.percentile(99);
  return lateMs > Math.max(lateMsMin, lateShareMax * latency.percentile(99));
}

export function levelName(by: Search['by'], load: number): string {
  return by === 'concurrency' ? `concurrency ${load}` : `${load} requests/s`;
}
