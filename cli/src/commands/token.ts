import type { TokenRecord } from '@axle/remoting';
import { Option, type Command } from 'commander';

import { parseDuration } from '../duration.js';
import { FileError, UsageError } from '../failure.js';
import { addJsonOption, type JsonOption } from '../options.js';
import { printable } from '../printable.js';
import { print } from '../standard-output.js';
import { formatTable } from '../table.js';
import { painterFor } from '../terminal.js';

const defaultExpiry = '90d';
const noteCharactersMax = 1023;

interface TokensOption extends JsonOption {
  readonly tokens?: string;
}

interface CreateOptions extends TokensOption {
  readonly tenant: string;
  readonly expires: string;
  readonly mayActFor?: string[];
  readonly note: string;
}

export function addTokenCommand(program: Command): void {
  const token = program
    .command('token')
    .description('make, list and revoke the tokens by which clients say who they are');
  const create = token
    .command('create')
    .description('make a token, shown this once')
    .requiredOption('--tenant <name>', 'whose it is')
    .option('--expires <time>', 'how long it is good: 30d, 12h, 30m or never', defaultExpiry)
    .option(
      '--may-act-for <tenant>',
      "a tenant that its holder may speak for, '*' for all: a relay; may be repeated",
      (name: string, before: string[] | undefined) => [...(before ?? []), name],
    )
    .option('--note <text>', 'for people: whose machine, why', '')
    .action(createCommand);
  const list = token.command('list').description('show what is known of them').action(listCommand);
  const revoke = token
    .command('revoke')
    .description('make a token worthless; servers cut off whoever came in by it')
    .argument('<id>', 'its id, as create and list show it')
    .action(revokeCommand);
  for (const command of [create, list, revoke]) addTokensOption(addJsonOption(command));
  for (const command of [token, create, list, revoke]) {
    command.addHelpText(
      'after',
      `
Examples:
  $ axle token create --tenant alice --tokens tokens.jsonl > alice.token
  $ AXLE_TOKEN_FILE=alice.token AXLE_ENDPOINT=axle+tls://gpu.example:7471 axle devices
  $ axle token revoke 0123456789abcdef --tokens tokens.jsonl`,
    );
  }
}

function addTokensOption(command: Command): void {
  command.addOption(
    new Option('--tokens <file>', 'the file of tokens that axle serve reads').env('AXLE_TOKENS'),
  );
}

async function createCommand(options: CreateOptions): Promise<void> {
  const { tenant, expires, mayActFor = [], note, json } = options;
  const path = pathOf(options);
  const { createToken, isTenantName } = await import('@axle/remoting');
  for (const name of [tenant, ...mayActFor.filter((each) => each !== '*')]) {
    if (isTenantName(name)) continue;
    throw new UsageError(`'${name}' is no name of a tenant; use letters, digits, . _ and -`);
  }
  if (note.length > noteCharactersMax) {
    throw new UsageError(`a note has at most ${noteCharactersMax} characters`);
  }
  const now = new Date();
  const fields = { tenant, expires: endOf(expires, now), mayActFor, note };
  const { token, record } = createToken(fields, now);
  const { changeTokenFile } = await import('../token-file.js');
  await changeTokenFile(path, true, (records) => [...records, record]);
  const { id, expires: end } = record;
  if (json === true) await print(`${JSON.stringify({ token, id, tenant, expires: end })}\n`);
  else await print(`${token}\n`);
  hint(`token ${id} of ${tenant} is good ${end === null ? 'for ever' : `until ${end}`}.`);
  hint(
    'It is not kept and cannot be shown again; clients take it from AXLE_TOKEN or AXLE_TOKEN_FILE.',
  );
}

async function listCommand(options: TokensOption): Promise<void> {
  const { tokenState } = await import('@axle/remoting');
  const { readTokenFile } = await import('../token-file.js');
  const records = await readTokenFile(pathOf(options));
  const now = Date.now();
  if (options.json === true) {
    const known = records.map(({ sha256: _, ...rest }) => ({
      ...rest,
      state: tokenState(rest, now),
    }));
    await print(`${JSON.stringify(known, null, 2)}\n`);
    return;
  }
  const rows = records.map((record) => [
    record.id,
    record.tenant,
    tokenState(record, now),
    record.expires ?? 'never',
    record.mayActFor.join(' ') || '-',
    record.note,
  ]);
  const header = ['ID', 'TENANT', 'STATE', 'EXPIRES', 'ACTS FOR', 'NOTE'];
  await print(formatTable(header, rows, painterFor(process.stdout)));
}

async function revokeCommand(id: string, options: TokensOption): Promise<void> {
  const path = pathOf(options);
  const now = new Date().toISOString();
  const { changeTokenFile } = await import('../token-file.js');
  let before: TokenRecord | undefined;
  await changeTokenFile(path, false, (records) => {
    before = records.find((record) => record.id === id);
    return records.map((record) =>
      record.id === id ? { ...record, revoked: record.revoked ?? now } : record,
    );
  });
  if (before === undefined) {
    throw new FileError(
      'NOT_FOUND',
      `there is no token ${printable(id)} in ${path}; axle token list shows them`,
    );
  }
  const revoked = before.revoked ?? now;
  if (options.json === true) await print(`${JSON.stringify({ id, revoked })}\n`);
  else hint(`token ${id} of ${before.tenant} is revoked; servers that run notice within seconds.`);
}

function pathOf({ tokens }: TokensOption): string {
  if (tokens !== undefined && tokens !== '') return tokens;
  throw new UsageError(
    'say which file with --tokens or AXLE_TOKENS, the one that axle serve reads',
  );
}

/** @returns ISO 8601; null: never. */
function endOf(expires: string, now: Date): string | null {
  if (expires === 'never') return null;
  const ms = parseDuration(expires);
  if (ms === undefined) {
    throw new UsageError(`--expires is a time such as 30d or 12h, or never; not '${expires}'`);
  }
  return new Date(now.getTime() + ms).toISOString();
}

/** What goes to people must not end up in a pipe. */
function hint(text: string): void {
  process.stderr.write(`${printable(text)}\n`);
}
