import { performance } from 'node:perf_hooks';

import { printable } from './printable.js';
import { canRedraw } from './terminal.js';
import { formatBytes } from './units.js';

/** Work that ends sooner shows nothing. */
const delayMs = 400;
const redrawMs = 100;
const barWidth = 24;
const clearLine = '\r\u001b[K';

export interface ProgressOptions {
  readonly label: string;
  /** Undefined where the end is not known. */
  readonly total: number | undefined;
  readonly unit: 'bytes' | 'items';
}

type ProgressStream = Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'>;

/** One line at the bottom of a terminal: how far, how fast, how long still. Does nothing where stderr is no terminal. */
export class Progress {
  private readonly startedAt: number;
  private readonly timer: NodeJS.Timeout | undefined;
  private done = 0;
  private drawn = false;

  constructor(
    private readonly options: ProgressOptions,
    private readonly stream: ProgressStream = process.stderr,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.startedAt = now();
    if (!canRedraw(stream)) return;
    this.timer = setInterval(() => this.draw(), redrawMs);
    this.timer.unref();
  }

  advance(amount: number): void {
    this.done += amount;
  }

  /** Makes room for other output; the line comes back with the next redraw. */
  clear(): void {
    if (!this.drawn) return;
    this.stream.write(clearLine);
    this.drawn = false;
  }

  stop(): void {
    clearInterval(this.timer);
    this.clear();
  }

  private draw(): void {
    const elapsedMs = this.now() - this.startedAt;
    if (elapsedMs < delayMs) return;
    const line = progressLine(this.options, this.done, elapsedMs);
    this.stream.write(clearLine + line.slice(0, Math.max(0, (this.stream.columns || 80) - 1)));
    this.drawn = true;
  }
}

/** The text of the line. */
export function progressLine(options: ProgressOptions, done: number, elapsedMs: number): string {
  const amount = (value: number) => (options.unit === 'bytes' ? formatBytes(value) : String(value));
  const perSecond = elapsedMs > 0 ? (done / elapsedMs) * 1000 : 0;
  const rate = options.unit === 'bytes' ? `${amount(perSecond)}/s` : `${perSecond.toFixed(1)}/s`;
  const label = printable(options.label);
  if (options.total === undefined) return `${label}  ${amount(done)}  ${rate}`;

  // A file may grow while it is read.
  const fraction = options.total > 0 ? Math.min(1, done / options.total) : 1;
  const filled = Math.round(fraction * barWidth);
  const bar = '='.repeat(filled).padEnd(barWidth);
  const percent = `${Math.floor(fraction * 100)}%`.padStart(4);
  const leftMs = perSecond > 0 ? ((options.total - done) / perSecond) * 1000 : Infinity;
  const left = Number.isFinite(leftMs) && leftMs > 0 ? `  ${clock(leftMs)} left` : '';
  return `${label} [${bar}] ${percent}  ${amount(done)}/${amount(options.total)}  ${rate}${left}`;
}

function clock(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  const part = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${part(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${part(minutes % 60)}:${part(seconds % 60)}`;
}
