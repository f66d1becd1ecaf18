import { constants, existsSync } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { resolve } from 'node:path';

import type { CheckedPlugin, RuleResult } from 'axle/plugin-check';
import type { Command } from 'commander';

import { FileError, fileFailure, UsageError } from '../failure.js';
import { addJsonOption, wholeNumber, type JsonOption } from '../options.js';
import { printable } from '../printable.js';
import type { CommandContext } from '../session.js';
import { print } from '../standard-output.js';
import { painterFor, type Painter } from '../terminal.js';

interface CheckCommandOptions extends JsonOption {
  readonly option?: string[];
  readonly arg?: string[];
  readonly rule?: string[];
  readonly model?: string[];
  readonly oracle?: string;
  readonly oracleOption?: string[];
  readonly timeout: number;
  readonly jobs: number;
}

const timeoutSecondsMax = 3600;
const jobsMax = 64;
const idWidth = 18;
const noOracle = 'none';
/** Which failure says most of what is wrong: others often come of it. */
const causesByWeight: readonly RuleResult['cause'][] = [
  'crash',
  'exit',
  'hang',
  'contract',
  'result',
];

export function addPluginCommand(program: Command, context: CommandContext): void {
  const plugin = program.command('plugin').description('for those who write plugins');
  plugin.addHelpText(
    'after',
    '\nExamples:\n  $ axle plugin check ./libmine.so\n  $ axle plugin rules',
  );
  addCheckCommand(plugin, context);
  const rules = plugin
    .command('rules')
    .description("list what 'plugin check' checks, in its order")
    .action(listRules);
  addJsonOption(rules);
}

function addCheckCommand(plugin: Command, context: CommandContext): void {
  const check = plugin
    .command('check')
    .description('hold a plugin against the rules of axle/plugin.h, each in a process of its own')
    .argument('<file>', 'the shared library')
    .option('--option <key=value>', 'open it with this option; may be repeated', gather)
    .option(
      '--arg <name=value>',
      'try its own ops with this argument; OP:NAME=VALUE for one op; may be repeated',
      gather,
    )
    .option('--rule <id>', 'check this rule only; may be repeated', gather)
    .option(
      '--model <file>',
      'try it on this ONNX model too, a file or a folder with its config.pbtxt; may be repeated',
      gather,
    )
    .option(
      '--oracle <file>',
      `compare results with those of this plugin; '${noOracle}' for no comparison (default: the CPU plugin)`,
    )
    .option('--oracle-option <key=value>', 'open the oracle with this; may be repeated', gather)
    .option(
      '--timeout <seconds>',
      'for one rule; longer is a hang',
      wholeNumber(1, timeoutSecondsMax),
      30,
    )
    .option(
      '--jobs <count>',
      'rules tried at once, where several processes may open the devices',
      wholeNumber(1, jobsMax),
      1,
    )
    .action((file: string, options: CheckCommandOptions) => checkFile(file, options, context));
  addJsonOption(check).addHelpText(
    'after',
    `
Ends with 1 when a rule is broken, with 2 when the file or a --model cannot be read, or the
oracle does not open. A file that does not load breaks the rule 'loads', and the others are not run. After a rule that
hung, each other is given 3 s. A rule that does not apply (the plugin has no streams, there is no oracle, or it does
not offer the op) is skipped with the reason. 'axle plugin rules' lists the rules.

An op of the plugin's own is tried on inputs and arguments that fit its description, and may refuse them. When no
task of any op gives a result, the rule 'runs' is broken: nothing shows that the plugin works. --arg gives arguments that make sense,
each as its type has it: true or false, a number, a text, or bytes as hex: and two digits for each.

The rules given-model, given-model-batch and given-model-oracle are for models that --model names: they are loaded,
run on inputs made up from their description (sizes that it leaves open are those of model_warmup in config.pbtxt,
else 16), run in batches up to max_batch_size, compared with the oracle, and unloaded.

With --json, one array of {rule, title, verdict, reason, cause, tasks, ms}: verdict is pass, fail or skip, reason is ''
for pass, cause is there for fail (crash, exit, hang, contract or result), and tasks says how many tasks each device
completed for the rule.

Examples:
  $ axle plugin check plugins/template/build/libaxle_template.so
  $ axle plugin check ./libmine.so --option device=0 --rule leaks --json
  $ axle plugin check ./libmine.so --arg mode=wrap --arg example.axle/scale:gain=1.5
  $ axle plugin check ./libmine.so --model ./resnet50.onnx --model ./models/bert --timeout 120
  $ axle plugin check ./libmine.so --oracle ./libreference.so --oracle-option threads=1`,
  );
}

function gather(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}

async function listRules({ json }: JsonOption): Promise<void> {
  const { pluginRules } = await import('axle/plugin-check');
  await print(
    json
      ? `${JSON.stringify(pluginRules, null, 2)}\n`
      : pluginRules.map(({ id, title }) => `${id.padEnd(idWidth)} ${title}\n`).join(''),
  );
}

async function checkFile(
  file: string,
  options: CheckCommandOptions,
  { signal }: CommandContext,
): Promise<void> {
  const { AxleError } = await import('axle');
  const { checkPlugin, pluginRules } = await import('axle/plugin-check');
  const known = pluginRules.map(({ id }) => id);
  const unknown = options.rule?.find((id) => !known.includes(id));
  if (unknown !== undefined) {
    throw new UsageError(`there is no rule '${unknown}'; there are ${known.join(', ')}`);
  }
  await checkReadable(file);
  const oracle = await chooseOracle(options);
  const shows = options.json !== true;
  const paint = painterFor(process.stdout);
  let heading = `oracle ${oracle === undefined ? noOracle : printable(oracle.path)}\n`;
  const results = await checkPlugin(file, {
    options: parseOptions('--option', options.option),
    args: parseOptions('--arg', options.arg),
    timeoutMs: options.timeout * 1000,
    jobs: options.jobs,
    signal,
    models: options.model ?? [],
    ...(oracle === undefined ? {} : { oracle }),
    ...(options.rule === undefined ? {} : { rules: options.rule }),
    onResult: (result) => {
      if (shows) process.stdout.write(heading + formatResult(result, paint));
      heading = '';
    },
  }).catch((error: unknown) => {
    throw error instanceof AxleError ? new UsageError(error.message) : error;
  });
  await print(shows ? formatSummary(results) : `${JSON.stringify(results, null, 2)}\n`);
  const failed = results.filter(({ verdict }) => verdict === 'fail');
  if (failed.length > 0) throw new FileError('FAILED_PRECONDITION', formatFailure(file, failed));
}

function formatFailure(file: string, failed: readonly RuleResult[]): string {
  const weight = ({ cause }: RuleResult) => causesByWeight.indexOf(cause);
  const [{ rule, reason }] = [...failed].sort((a, b) => weight(a) - weight(b)) as [RuleResult];
  const why = `'${rule}': ${printable(reason)}`;
  if (failed.length === 1) return `${file} breaks the rule ${why}`;
  return `${file} breaks ${failed.length} rules; look first at ${why}`;
}

/** @throws UsageError */
async function checkReadable(file: string): Promise<void> {
  const advice = 'name the shared library that the build made';
  try {
    if ((await stat(file)).isDirectory()) {
      throw new UsageError(`${file}: that is a folder; ${advice}`);
    }
    await access(file, constants.R_OK);
  } catch (error) {
    const failure = fileFailure(error, file);
    throw failure instanceof FileError ? new UsageError(`${failure.message}; ${advice}`) : error;
  }
}

async function chooseOracle({
  oracle,
  oracleOption,
}: CheckCommandOptions): Promise<CheckedPlugin | undefined> {
  const { cpuPlugin } = await import('axle');
  const given = parseOptions('--oracle-option', oracleOption);
  if (oracle === noOracle) {
    if (oracleOption === undefined) return undefined;
    throw new UsageError(`--oracle-option needs an oracle, and --oracle is '${noOracle}'`);
  }
  if (oracle === undefined || resolve(oracle) === cpuPlugin.path) {
    const { path, options } = cpuPlugin;
    return existsSync(path) ? { path, options: { ...options, ...given } } : undefined;
  }
  if (!existsSync(oracle)) {
    throw new UsageError(
      `--oracle ${oracle}: there is no such file; name the shared library of another plugin, leave it out for the CPU plugin, or give '${noOracle}'`,
    );
  }
  return { path: resolve(oracle), options: given };
}

function parseOptions(flag: string, texts: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new UsageError(`${flag} ${text}: give KEY=VALUE`);
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

function formatSummary(results: readonly RuleResult[]): string {
  const count = (verdict: RuleResult['verdict']) =>
    results.filter((result) => result.verdict === verdict).length;
  const tasks = new Map<string, number>();
  for (const result of results) {
    for (const [device, n] of Object.entries(result.tasks)) {
      tasks.set(device, (tasks.get(device) ?? 0) + n);
    }
  }
  const ran = [...tasks]
    .map(([device, n]) => `, ${n} ${n === 1 ? 'task' : 'tasks'} on ${printable(device)}`)
    .join('');
  return `${count('pass')} passed, ${count('fail')} failed, ${count('skip')} skipped${ran}\n`;
}
