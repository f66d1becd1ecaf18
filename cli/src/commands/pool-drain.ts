import { setTimeout as wait } from 'node:timers/promises';

import { InvalidArgumentError, Option, type Command } from 'commander';

import { AtomicFile } from '../atomic-file.js';
import { parseDuration } from '../duration.js';
import { FileError, UsageError } from '../failure.js';
import { addJsonOption, type JsonOption } from '../options.js';
import { printable } from '../printable.js';
import { oneMore } from '../serving/serve-options.js';
import type { CommandContext } from '../session.js';
import { print } from '../standard-output.js';
import { Figures } from '../top/figures.js';
import { MetricsDoor } from '../top/metrics-door.js';
import { sampleBetween } from '../top/top-sample.js';

const lookEveryMs = 250;
const timeoutMsDefault = 300_000;

interface DrainOptions extends JsonOption {
  readonly list: string;
  readonly watch?: readonly string[];
  readonly timeout?: number;
}

/** How one pool stands with a server. */
interface PoolProgress {
  readonly metrics: string;
  /** `unknown`: the pool has not read of it. */
  readonly state: string;
  /** Of this pool, on their way to the server, there, or on their way back. */
  readonly tasks: number;
  /** Taken from it, and answered elsewhere. */
  readonly movedTasks: number;
  /** Loaded elsewhere before. */
  readonly models: number;
  /** The longest that a task stood still. */
  readonly pauseMs: number;
}

export function addDrainCommands(pool: Command, context: CommandContext): void {
  const drain = pool
    .command('drain')
    .description('empty a server of a pool: its work moves to others, and it gets nothing new')
    .argument('<server>', 'its URL, as in the list')
    .action((server: string, options: DrainOptions) => change(server, true, options, context));
  addListOptions(drain).addHelpText(
    'after',
    `
The list is what all axle pool, and clients with axle+pool:/PATH, go by: the server is marked there, and stays so until
axle pool resume. With --watch, of as many axle pool as there are, it waits until the server is empty for all of them, and
says what moved and for how long a task stood still at most.

Example:
  $ axle pool drain axle+tls://gpu2:7471 --list /etc/axle/servers --watch http://pool1:8002 --watch http://pool2:8002`,
  );
  const resume = pool
    .command('resume')
    .description('let a server that was drained work again')
    .argument('<server>', 'its URL, as in the list')
    .action((server: string, options: DrainOptions) => change(server, false, options, context));
  addListOptions(resume);
}

function addListOptions(command: Command): Command {
  command
    // Not called as options of axle pool itself, which would take them for its own.
    .requiredOption(
      '--list <file>',
      'what axle pool has as --servers: a file with a URL on each line',
    )
    .option('--watch <url>', 'what an axle pool prints for --metrics; may be repeated', oneMore)
    .addOption(
      new Option('--timeout <time>', 'how long to wait: 30s, 5m (default: 5m)').argParser(duration),
    )
    // Those of axle pool are none of theirs.
    .configureHelp({
      ...command.configureHelp(),
      visibleGlobalOptions: (each) => rootOf(each).options.filter(({ hidden }) => !hidden),
    });
  return addJsonOption(command);
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('It is a time such as 30s or 5m.');
  return ms;
}

async function change(
  text: string,
  isDrained: boolean,
  { list: file, watch = [], timeout = timeoutMsDefault, json }: DrainOptions,
  { signal }: CommandContext,
): Promise<void> {
  const href = hrefOf(text);
  await mark(file, href, isDrained);
  const startedAt = performance.now();
  const doors = await Promise.all(watch.map((url) => MetricsDoor.open(url)));
  let pools: readonly PoolProgress[];
  try {
    const tell = json === true ? () => undefined : teller();
    const endAt = startedAt + timeout;
    for (;;) {
      pools = await Promise.all(doors.map((door) => progressAt(door, href, signal)));
      tell(pools);
      if (pools.every((each) => isThere(each, isDrained))) break;
      if (performance.now() > endAt) throw tooLate(href, isDrained, pools, timeout);
      await wait(lookEveryMs, undefined, { signal });
    }
  } finally {
    for (const door of doors) door.close();
  }
  const tookMs = Math.round(performance.now() - startedAt);
  await print(
    json === true
      ? `${JSON.stringify({ server: href, state: stateOf(isDrained, doors.length), tookMs, pools }, null, 2)}\n`
      : summary(href, isDrained, tookMs, pools),
  );
}

function stateOf(isDrained: boolean, watched: number): string {
  if (watched === 0) return isDrained ? 'marked' : 'unmarked';
  return isDrained ? 'drained' : 'resumed';
}

function hrefOf(text: string): string {
  // Without what may be a secret.
  const shown = text.replace(/\/\/.*@/, '//');
  if (!URL.canParse(text)) {
    throw new UsageError(`'${printable(shown)}' is no URL of a server; give it as the list does`);
  }
  return new URL(text).href;
}

/** Writes the list anew, with the one line changed. @throws FileError where the server is not in it. */
async function mark(file: string, href: string, isDrained: boolean): Promise<void> {
  const { isServerList, readServerFile } = await import('@axle/remoting');
  if (isServerList(file)) {
    throw new UsageError(
      '--list is the file that axle pool has as --servers; where it was given URLs, there is nothing to mark: ' +
        'put them into a file, one on each line, and start it with that',
    );
  }
  const { urls, drained } = await readServerFile(file);
  if (!urls.some((url) => url.href === href)) {
    throw new FileError('NOT_FOUND', `${href} is not in ${file}; give the URL of a server in it`);
  }
  if (drained.has(href) === isDrained) return;
  if (isDrained && urls.every((url) => url.href === href || drained.has(url.href))) {
    throw new FileError(
      'FAILED_PRECONDITION',
      `${href} is the last server in ${file} that takes work; add another one before, or stop axle pool`,
    );
  }
  const { readFile } = await import('node:fs/promises');
  const lines = (await readFile(file, 'utf8')).split('\n').map((line) => {
    const [, url = '', , rest = ''] = /^\s*([^\s#]+)(\s+drain)?(\s*(?:#.*)?)$/.exec(line) ?? [];
    if (!URL.canParse(url) || new URL(url).href !== href) return line;
    return `${url}${isDrained ? ' drain' : ''}${rest.trimEnd()}`;
  });
  const written = await AtomicFile.create(file, { overwrite: true });
  try {
    await written.write(Buffer.from(lines.join('\n')));
    await written.commit();
  } finally {
    await written.discard();
  }
}

async function progressAt(
  door: MetricsDoor,
  href: string,
  signal: AbortSignal,
): Promise<PoolProgress> {
  const samples = await door.read(signal);
  const [server = ''] = new Figures(samples, samples, 1)
    .labelSets('axle_pool_server_info', ['server', 'url'])
    .filter(([, url]) => url === href)
    .map(([label = '']) => label);
  const { servers, moves } = sampleBetween(samples, samples, 1, new Date());
  const itself = servers.find((each) => each.server === server);
  const move = moves.find((each) => each.server === server && each.reason === 'drain');
  return {
    metrics: door.url,
    state: itself?.state ?? 'unknown',
    tasks: itself?.tasks ?? 0,
    movedTasks: move?.tasks ?? 0,
    models: move?.models ?? 0,
    pauseMs: move?.pauseMs ?? 0,
  };
}

/** A server that is away has nothing of the pool. */
function isThere({ state }: PoolProgress, isDrained: boolean): boolean {
  if (isDrained) return state === 'drained' || state === 'lost' || state === 'connecting';
  return state === 'up';
}

/** On standard error, what changed. */
function teller(): (pools: readonly PoolProgress[]) => void {
  const told = new Map<string, string>();
  return (pools) => {
    for (const each of pools) {
      const line = `${each.metrics}: ${each.state}, ${each.tasks} tasks there, ${movedText(each)}`;
      if (told.get(each.metrics) === line) continue;
      told.set(each.metrics, line);
      process.stderr.write(`${printable(line)}\n`);
    }
  };
}

function movedText({ movedTasks, models, pauseMs }: PoolProgress): string {
  const moved =
    movedTasks === 0
      ? 'no task was moved'
      : `${movedTasks} tasks were moved and stood still for ${pauseMs.toFixed(1)} ms at most`;
  return models === 0 ? moved : `${models} models were loaded elsewhere, ${moved}`;
}

function summary(
  href: string,
  isDrained: boolean,
  tookMs: number,
  pools: readonly PoolProgress[],
): string {
  if (pools.length === 0) {
    return `${href} is ${isDrained ? 'marked: it is emptied' : 'no longer marked: it gets work'} as soon as those who read the list do\n`;
  }
  if (!isDrained) return `${href} works again\n`;
  const lines = pools.map((each) => `  ${each.metrics}: ${movedText(each)}\n`);
  return (
    printable(`${href} is empty after ${(tookMs / 1000).toFixed(1)} s`) + `\n${lines.join('')}`
  );
}

function tooLate(
  href: string,
  isDrained: boolean,
  pools: readonly PoolProgress[],
  timeoutMs: number,
): FileError {
  const left = pools
    .filter((each) => !isThere(each, isDrained))
    .map(({ metrics, state, tasks }) => `${metrics} says ${state}, with ${tasks} tasks there`);
  return new FileError(
    'DEADLINE_EXCEEDED',
    `${href} is not ${isDrained ? 'empty' : 'up'} after ${timeoutMs / 1000} s: ${left.join('; ')}; streams run to their end. ` +
      `The list is changed all the same; give it more --timeout, or look after who has the streams`,
  );
}
