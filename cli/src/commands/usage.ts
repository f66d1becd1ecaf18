import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';

import { InvalidArgumentError, type Command } from 'commander';
import type { UsageLine } from '@axle/remoting';

import { parseDuration } from '../duration.js';
import { FileError, fileFailure, isSystemError, UsageError } from '../failure.js';
import { addJsonOption, type JsonOption } from '../options.js';
import { print } from '../standard-output.js';
import { formatTable } from '../table.js';
import { painterFor } from '../terminal.js';

const msPerSecond = 1000;
const decimals = 3;
const lineCharactersMax = 65_536;
const keys = ['tenant', 'model', 'device'] as const;
type Key = (typeof keys)[number];

interface UsageCommandOptions extends JsonOption {
  readonly since?: number;
  readonly until?: number;
  readonly by: readonly Key[];
}

/** What was used of what `by` tells apart. */
interface Sum {
  readonly of: Readonly<Partial<Record<Key, string>>>;
  tasks: number;
  deviceMs: number;
}

export function addUsageCommand(program: Command): void {
  const command = program
    .command('usage')
    .description('add up what tenants used of devices, from what axle serve --usage-log wrote')
    .argument(
      '<file...>',
      'as given to --usage-log; those that were put aside (.1, .2 ...) are read too',
    )
    .option('--since <time>', 'from then on: 30d, 12h, 30m ago, or 2026-11-01', moment)
    .option('--until <time>', 'the same: before then', moment)
    .option('--by <what>', 'tell apart by tenant, model and device, or only some', readBy, keys)
    .action(usage);
  addJsonOption(command).addHelpText(
    'after',
    `
Device time is that of tasks which gave a result. A server that is killed loses the last ten seconds. Bill from the servers,
or from all axle pool in front of them, and not from both.

Examples:
  $ axle serve --listen unix:/run/axle.sock --usage-log /var/log/axle/usage.jsonl
  $ axle usage /var/log/axle/usage.jsonl --since 30d
  $ axle usage gpu1.jsonl gpu2.jsonl --since 2026-11-01 --until 2026-12-01 --by tenant --json`,
  );
}

/** @returns milliseconds since 1970 */
function moment(text: string): number {
  const ago = parseDuration(text);
  if (ago !== undefined) return Date.now() - ago;
  const at = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(at)) throw new InvalidArgumentError('It is a time such as 12h, or 2026-11-01.');
  return at;
}

function readBy(text: string): readonly Key[] {
  const wanted = text.split(',');
  const strange = wanted.find((each) => !keys.includes(each as Key));
  if (strange === undefined) return keys.filter((key) => wanted.includes(key));
  throw new InvalidArgumentError(`There are ${keys.join(', ')}, with commas between them.`);
}

async function usage(files: readonly string[], options: UsageCommandOptions): Promise<void> {
  const { since = -Infinity, until = Infinity, by, json } = options;
  if (since >= until) throw new UsageError('--since is not before --until');
  const sums = new Map<string, Sum>();
  let unread = 0;
  for (const file of new Set(files)) {
    for (const path of await written(file)) {
      for await (const line of linesOf(path)) {
        const read = parseLine(line);
        if (read === undefined) {
          // Half of one, where a machine went down.
          unread += 1;
          continue;
        }
        const at = Date.parse(read.to);
        if (at > since && at <= until) add(sums, read, by);
      }
    }
  }
  if (unread > 0) process.stderr.write(`${unread} lines are no usage and were left out\n`);
  const rows = [...sums.values()].sort((a, b) => b.deviceMs - a.deviceMs);
  if (json === true) {
    const told = rows.map(({ of, tasks, deviceMs }) => ({
      ...of,
      tasks,
      deviceSeconds: deviceMs / msPerSecond,
    }));
    await print(`${JSON.stringify(told, null, 2)}\n`);
    return;
  }
  const header = [...by.map((key) => key.toUpperCase()), 'TASKS', 'DEVICE SECONDS'];
  const cells = rows.map(({ of, tasks, deviceMs }) => [
    ...by.map((key) => of[key] ?? ''),
    String(tasks),
    (deviceMs / msPerSecond).toFixed(decimals),
  ]);
  await print(formatTable(header, cells, painterFor(process.stdout)));
}

function add(sums: Map<string, Sum>, line: UsageLine, by: readonly Key[]): void {
  const key = JSON.stringify(by.map((each) => line[each]));
  let sum = sums.get(key);
  if (sum === undefined) {
    const of = Object.fromEntries(by.map((each) => [each, line[each]]));
    sum = { of, tasks: 0, deviceMs: 0 };
    sums.set(key, sum);
  }
  sum.tasks += line.tasks;
  sum.deviceMs += line.deviceMs;
}

/** The file and those that were put aside before it; what is put aside meanwhile may be missed. */
async function written(file: string): Promise<readonly string[]> {
  const { rotatingFilesMax } = await import('@axle/remoting');
  const found: string[] = [];
  for (let i = rotatingFilesMax - 1; i > 0; i--) {
    if (await isThere(`${file}.${i}`)) found.push(`${file}.${i}`);
  }
  if (await isThere(file)) found.push(file);
  if (found.length > 0) return found;
  throw new FileError(
    'NOT_FOUND',
    `there is no ${file}; axle serve and axle pool write one with --usage-log`,
  );
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw fileFailure(error, path);
  }
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const stream = createReadStream(path, 'utf8');
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) yield line;
  } catch (error) {
    throw fileFailure(error, path);
  } finally {
    stream.destroy();
  }
}

function parseLine(text: string): UsageLine | undefined {
  if (text.length > lineCharactersMax) return undefined;
  try {
    const line = JSON.parse(text) as Partial<UsageLine> | null;
    const isUsage =
      line !== null &&
      typeof line === 'object' &&
      [line.from, line.to, line.tenant, line.model, line.device].every(
        (each) => typeof each === 'string',
      ) &&
      isAmount(line.tasks) &&
      isAmount(line.deviceMs) &&
      !Number.isNaN(Date.parse(line.to ?? ''));
    return isUsage ? (line as UsageLine) : undefined;
  } catch {
    // Counted by the caller, and told of.
    return undefined;
  }
}

function isAmount(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value);
}
