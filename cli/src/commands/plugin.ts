import type { RuleResult } from 'axle';
import type { Command } from 'commander';

import { FileError, UsageError } from '../failure.js';
import { addJsonOption, wholeNumber, type JsonOption } from '../options.js';
import { printable } from '../printable.js';
import type { CommandContext } from '../session.js';
import { print } from '../standard-output.js';
import { painterFor, type Painter } from '../terminal.js';

interface CheckCommandOptions extends JsonOption {
  readonly option?: string[];
  readonly rule?: string[];
  readonly timeout: number;
}

const timeoutSecondsMax = 3600;
const idWidth = 18;

export function addPluginCommand(program: Command, context: CommandContext): void {
  const plugin = program.command('plugin').description('for those who write plugins');
  plugin.addHelpText('after', '\nExamples:\n  $ axle plugin check ./libmine.so');
  const check = plugin
    .command('check')
    .description('hold a plugin against the rules of axle/plugin.h, each in a process of its own')
    .argument('<file>', 'the shared library')
    .option('--option <key=value>', 'open it with this option; may be repeated', gather)
    .option('--rule <id>', 'check this rule only; may be repeated', gather)
    .option(
      '--timeout <seconds>',
      'for one rule; longer is a hang',
      wholeNumber(1, timeoutSecondsMax),
      30,
    )
    .action((file: string, options: CheckCommandOptions) => checkFile(file, options, context));
  addJsonOption(check).addHelpText(
    'after',
    `
Ends with 1 when a rule is broken. What a rule cannot try (an op that needs a model) is skipped with the reason.

Examples:
  $ axle plugin check plugins/template/build/libaxle_template.so
  $ axle plugin check ./libmine.so --option device=0 --rule leaks --json`,
  );
}

function gather(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}

async function checkFile(
  file: string,
  options: CheckCommandOptions,
  { signal }: CommandContext,
): Promise<void> {
  const { checkPlugin, pluginRules } = await import('axle');
  const known = pluginRules.map(({ id }) => id);
  const unknown = options.rule?.find((id) => !known.includes(id));
  if (unknown !== undefined) {
    throw new UsageError(`there is no rule '${unknown}'; there are ${known.join(', ')}`);
  }
  const paint = painterFor(process.stdout);
  const results = await checkPlugin(file, {
    options: parseOptions(options.option ?? []),
    timeoutMs: options.timeout * 1000,
    signal,
    ...(options.rule === undefined ? {} : { rules: options.rule }),
    onResult: (result) => {
      if (!options.json) process.stdout.write(formatResult(result, paint));
    },
  });
  if (options.json) await print(`${JSON.stringify(results, null, 2)}\n`);
  const count = (verdict: RuleResult['verdict']) =>
    results.filter((result) => result.verdict === verdict).length;
  if (!options.json) {
    await print(`${count('pass')} passed, ${count('fail')} failed, ${count('skip')} skipped\n`);
  }
  if (count('fail') === 0) return;
  const first = results.find(({ verdict }) => verdict === 'fail');
  throw new FileError('FAILED_PRECONDITION', `${file} breaks the rule '${first?.rule ?? ''}'`);
}

function parseOptions(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new UsageError(`--option ${text}: give KEY=VALUE`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

function formatResult({ rule, title, verdict, reason }: RuleResult, paint: Painter): string {
  const why = reason === '' ? '' : `\n      ${printable(reason)}`;
  const word = verdict.padEnd(5);
  const shown = verdict === 'pass' ? paint('dim', word) : paint('bold', word);
  return `${shown} ${rule.padEnd(idWidth)} ${title}${why}\n`;
}
