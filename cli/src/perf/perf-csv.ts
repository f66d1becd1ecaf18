import type { MeasuredLevel } from './measured-level.js';
import { percentilesWith, serverMeans } from './measured-level.js';

const usPerMs = 1000;

interface Column {
  readonly name: string;
  readonly value: (level: MeasuredLevel) => number | undefined;
}

/**
 * A line for each level, with the names and units of perf_analyzer: microseconds, of one request on average. Of its columns
 * there are those which are measured, and behind them what has no name there.
 */
export function formatCsv(
  levels: readonly MeasuredLevel[],
  percentile: number | undefined,
): string {
  const all = [...columns(levels), ...latencyColumns(percentile), ...countColumns];
  const lines = levels.map((level) => all.map(({ value }) => cell(value(level))));
  return [all.map(({ name }) => name), ...lines].map((line) => `${line.join(',')}\n`).join('');
}

function columns(levels: readonly MeasuredLevel[]): Column[] {
  const means = levels.map(({ tally }) => serverMeans(tally.server));
  const byRate = levels[0]?.by === 'rate';
  const server: Column[] = [
    { name: 'Server Queue', value: ({ tally }) => us(serverMeans(tally.server)?.queueMs) },
    { name: 'Server Compute Input', value: ({ tally }) => us(serverMeans(tally.server)?.inputMs) },
    { name: 'Server Compute Infer', value: ({ tally }) => us(serverMeans(tally.server)?.inferMs) },
  ];
  const output: Column = {
    name: 'Server Compute Output',
    value: ({ tally }) => us(serverMeans(tally.server)?.outputMs),
  };
  return [
    { name: byRate ? 'Request Rate' : 'Concurrency', value: ({ load }) => load },
    { name: 'Inferences/Second', value: ({ tally }) => rounded(tally.inferencesPerSecond, 3) },
    ...(means.some((mean) => mean !== undefined) ? server : []),
    ...(means.some((mean) => mean?.outputMs !== undefined) ? [output] : []),
  ];
}

function latencyColumns(percentile: number | undefined): Column[] {
  return [
    ...percentilesWith(percentile).map((percent) => ({
      name: `p${percent} latency`,
      value: ({ tally }: MeasuredLevel) => us(tally.latency.percentile(percent)),
    })),
    { name: 'Avg latency', value: ({ tally }) => us(tally.latency.mean) },
  ];
}

const countColumns: readonly Column[] = [
  { name: 'Failed', value: ({ tally }) => tally.failed },
  { name: 'Not Sent', value: ({ tally }) => tally.notSent },
];

function us(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * usPerMs);
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** Nothing for what is not known. */
function cell(value: number | undefined): string {
  return value === undefined || !Number.isFinite(value) ? '' : String(value);
}
