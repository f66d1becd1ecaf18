import { setTimeout as wait } from 'node:timers/promises';

import { InvalidArgumentError, type Command } from 'commander';

import { oneLine } from '../failure.js';
import { addJsonOption, type JsonOption } from '../options.js';
import type { CommandContext } from '../session.js';
import { print } from '../standard-output.js';
import { canRedraw, painterFor } from '../terminal.js';
import { LiveScreen } from '../top/live-screen.js';
import { defaultMetricsUrl, MetricsDoor } from '../top/metrics-door.js';
import type { Samples } from '../top/prometheus-text.js';
import { sampleBetween, type TopSample } from '../top/top-sample.js';
import { topScreen } from '../top/top-screen.js';

const msPerSecond = 1000;
const intervalSecondsMin = 0.1;
const intervalSecondsMax = 3600;
/** To end in. */
const endMs = 1000;

interface TopOptions extends JsonOption {
  readonly interval: number;
}

export function addTopCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('top')
    .description('watch a server: devices, models, queues, batches, latency, tenants')
    .argument('[url]', 'what axle serve --metrics prints', defaultMetricsUrl)
    .option('--interval <seconds>', 'how often it is looked at', seconds, 2)
    .action((url: string, options: TopOptions) => top(url, options, context));
  addJsonOption(command).addHelpText(
    'after',
    `
Figures are those of the last interval; --json prints those of one, and ends. Ctrl-C ends it. Where standard output is no
terminal, one sample after another is printed. Who asks is said by AXLE_TOKEN and so on, as for other commands.

Examples:
  $ axle serve --listen unix:/run/axle.sock --metrics unix:/run/axle-metrics.sock
  $ axle top http+unix:/run/axle-metrics.sock
  $ ssh -t gpu1 axle top
  $ axle top --json | jq '.devices[] | {device, tasks}'`,
  );
}

function seconds(text: string): number {
  const value = Number(text);
  if (!/^[\d.]+$/.test(text) || !(value >= intervalSecondsMin && value <= intervalSecondsMax)) {
    throw new InvalidArgumentError(
      `It is a number of seconds from ${intervalSecondsMin} to ${intervalSecondsMax}.`,
    );
  }
  return value;
}

async function top(
  url: string,
  { json, interval }: TopOptions,
  { signal, interruption }: CommandContext,
): Promise<void> {
  const door = await MetricsDoor.open(url);
  try {
    const samples = new Sampling(door, interval, signal);
    await samples.begin();
    if (json === true) {
      await print(`${JSON.stringify(await samples.next(), null, 2)}\n`);
      return;
    }
    // To look at it until one has seen enough is its ordinary end.
    interruption.drainWithin(endMs);
    await (canRedraw(process.stdout) ? live(samples) : log(samples));
  } finally {
    door.close();
  }
}

/** One picture over another. */
async function live(samples: Sampling): Promise<void> {
  let last: TopSample | undefined;
  let trouble = '';
  const paint = painterFor(process.stdout);
  const draw = () => {
    const { columns, rows } = screen;
    const title = last === undefined ? `${samples.url}\n` : '';
    const shown = last && topScreen(samples.url, last, { columns, rows: rows - 1, paint });
    const said = trouble === '' ? '' : paint('red', trouble.slice(0, columns));
    screen.show(`${shown ?? title}${said}\n`);
  };
  const screen = new LiveScreen(process.stdout, draw);
  try {
    while (!samples.isOver) {
      draw();
      try {
        last = await samples.next();
        trouble = '';
      } catch (error) {
        // It may come back: what it said last stays there.
        trouble = oneLine(error);
      }
    }
  } finally {
    screen.close();
  }
}

/** One after another, for a file or a pipe. */
async function log(samples: Sampling): Promise<void> {
  const paint = painterFor(process.stdout);
  while (!samples.isOver) {
    try {
      const sample = await samples.next();
      await print(
        `${topScreen(samples.url, sample, { columns: Infinity, rows: undefined, paint })}\n`,
      );
    } catch (error) {
      if (!samples.isOver) throw error;
    }
  }
}

/** Asks a server again and again. */
class Sampling {
  private before: Samples = new Map();
  private askedAt = 0;

  constructor(
    private readonly door: MetricsDoor,
    private readonly intervalSeconds: number,
    private readonly signal: AbortSignal,
  ) {}

  get url(): string {
    return this.door.url;
  }

  get isOver(): boolean {
    return this.signal.aborted;
  }

  /** @throws as `MetricsDoor.read` */
  async begin(): Promise<void> {
    this.before = await this.door.read(this.signal);
    this.askedAt = performance.now();
  }

  /** After an interval. @throws as `MetricsDoor.read` */
  async next(): Promise<TopSample> {
    const { signal } = this;
    await wait(this.intervalSeconds * msPerSecond, undefined, { signal });
    const after = await this.door.read(signal);
    const now = performance.now();
    const elapsed = (now - this.askedAt) / msPerSecond;
    const sample = sampleBetween(this.before, after, elapsed, new Date());
    this.before = after;
    this.askedAt = now;
    return sample;
  }
}
