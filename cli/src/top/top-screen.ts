import { printable } from '../printable.js';
import { formatTable } from '../table.js';
import type { Painter } from '../terminal.js';
import { formatBytes, formatMs, threeDigits } from '../units.js';
import type { TenantSample, TopSample } from './top-sample.js';

/** Where a sample is shown. */
export interface Screen {
  readonly columns: number;
  /** Lines past these are left out, and counted; undefined: all are shown. */
  readonly rows: number | undefined;
  readonly paint: Painter;
}

interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const plain: Painter = (_style, text) => text;
const emptyCell = '-';

/** A sample for people: no line is longer than the screen is wide. */
export function topScreen(url: string, sample: TopSample, screen: Screen): string {
  const { columns, rows, paint } = screen;
  const cut = (line: string) => cutTo(columns, line);
  const lines = [cut(printable(`${url}  ${sample.at}`)), cut(summary(sample))].map((line) =>
    paint('dim', line),
  );
  for (const { header, rows: cells } of tablesOf(sample)) {
    if (cells.length === 0) continue;
    const [title = '', ...body] = formatTable(header, cells, plain).trimEnd().split('\n');
    lines.push('', paint('bold', cut(title)), ...body.map(cut));
  }
  if (rows === undefined || lines.length <= rows) return linesOf(lines);
  const shown = lines.slice(0, Math.max(0, rows - 1));
  return linesOf([...shown, paint('dim', cut(`... ${lines.length - shown.length} more lines`))]);
}

function linesOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

function cutTo(columns: number, line: string): string {
  const characters = [...line];
  return characters.length <= columns ? line : characters.slice(0, columns).join('');
}

function summary({ wire, storeBytes, hostRestarts }: TopSample): string {
  const restarts = Object.values(hostRestarts).reduce((sum, count) => sum + count, 0);
  return [
    `wire: ${wire.connections} connections, ${wire.handles} handles`,
    `in ${formatBytes(Math.round(wire.receivedBytesPerSecond))}/s`,
    `out ${formatBytes(Math.round(wire.sentBytesPerSecond))}/s`,
    `store ${formatBytes(storeBytes)}`,
    `host restarts ${restarts}`,
  ].join(', ');
}

function tablesOf({
  servers,
  devices,
  models,
  ops,
  tenants,
  ...sample
}: TopSample): readonly Table[] {
  const events = Object.entries(sample.poolEventsPerSecond);
  return [
    {
      header: ['SERVER', 'STATE', 'TASKS', 'TASKS/S', 'PASSED OVER'],
      rows: servers.map((each) => [
        each.server,
        each.state,
        String(each.tasks),
        threeDigits(each.tasksPerSecond),
        String(each.passedOver),
      ]),
    },
    {
      header: events.map(([event]) => `${event.toUpperCase()}/S`),
      rows: events.length === 0 ? [] : [events.map(([, rate]) => threeDigits(rate))],
    },
    {
      header: ['SERVER DEVICE', 'TASKS', 'WAIT', 'TASKS/S'],
      rows: sample.serverDevices.map((each) => [
        each.device,
        String(each.tasks),
        formatMs(each.waitMs),
        threeDigits(each.tasksPerSecond),
      ]),
    },
    {
      header: ['MOVED FROM', 'WHY', 'TASKS', 'MODELS', 'LONGEST PAUSE'],
      rows: sample.moves.map((each) => [
        each.server,
        each.reason,
        String(each.tasks),
        String(each.models),
        formatMs(each.pauseMs),
      ]),
    },
    {
      header: ['MODEL', 'COPIES'],
      rows: Object.entries(sample.modelCopies).map(([model, copies]) => [model, String(copies)]),
    },
    {
      header: ['DEVICE', 'HEALTH', 'TASKS', 'WAIT', 'TASKS/S', 'BATCH'],
      rows: devices.map((each) => [
        each.emulated ? `${each.device} EMULATED` : each.device,
        each.health,
        String(each.tasks),
        formatMs(each.waitMs),
        threeDigits(each.tasksPerSecond),
        some(each.batchSize, threeDigits),
      ]),
    },
    {
      header: ['MODEL', 'PENDING', 'REQ/S', 'FAILED/S', 'LATENCY', 'QUEUE', 'COMPUTE', 'BATCH'],
      rows: busiestFirst(models, (each) => each.requestsPerSecond).map((each) => [
        each.version === '' ? each.model : `${each.model}:${each.version}`,
        String(each.pending),
        threeDigits(each.requestsPerSecond),
        threeDigits(each.failuresPerSecond),
        some(each.latencyMs, formatMs),
        some(each.queueMs, formatMs),
        some(each.computeMs, formatMs),
        some(each.batchSize, threeDigits),
      ]),
    },
    {
      header: ['OP', 'CALLS/S', 'FAILED/S', 'MEAN', 'P50', 'P99'],
      rows: busiestFirst(ops, (each) => each.callsPerSecond).map((each) => [
        each.op,
        threeDigits(each.callsPerSecond),
        threeDigits(each.failuresPerSecond),
        some(each.meanMs, formatMs),
        some(each.p50Ms, formatMs),
        some(each.p99Ms, formatMs),
      ]),
    },
    {
      header: ['TENANT', 'CALLS/S', 'CALLS', 'CONNECTIONS', 'HANDLES', 'INPUTS', 'MODELS'],
      rows: busiestFirst(tenants, (each) => each.callsPerSecond).map((each) => [
        each.tenant,
        threeDigits(each.callsPerSecond),
        share(each, 'calls', String),
        share(each, 'connections', String),
        share(each, 'handles', String),
        share(each, 'requestBytes', formatBytes),
        share(each, 'modelBytes', formatBytes),
      ]),
    },
  ];
}

function busiestFirst<T>(all: readonly T[], rate: (one: T) => number): readonly T[] {
  return [...all].sort((a, b) => rate(b) - rate(a));
}

function some(value: number | null, format: (value: number) => string): string {
  return value === null ? emptyCell : format(value);
}

/** '3/256' */
function share(
  { usage }: TenantSample,
  resource: string,
  format: (value: number) => string,
): string {
  const { used, most } = usage[resource] ?? { used: 0, most: null };
  return most === null ? format(used) : `${format(used)}/${format(most)}`;
}
