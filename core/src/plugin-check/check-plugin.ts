import { resolve } from 'node:path';

import { argumentError } from '../argument-error.js';
import { AxleError } from '../errors.js';
import type { FailureCause } from './check-child.js';
import { Course } from './course.js';
import { readGivenModel } from './given-model.js';
import { runRule, type RuleRun } from './rule-process.js';
import type { CheckedPlugin, Subject } from './rule.js';
import { givenArgsRefused, givenArgsRule, rules } from './rules.js';

const timeoutMsDefault = 30_000;
/** Most rules that are tried at once. */
export const checkJobsMax = 64;

export interface CheckOptions {
  /** That the plugin is opened with. */
  readonly options?: Readonly<Record<string, string>>;
  /**
   * Values of arguments that custom ops are tried with, as texts, by NAME or OP:NAME: 'true', '1', '1.5', a text, or of
   * bytes 'hex:00ff'. Required ones that are not there are made up.
   */
  readonly args?: Readonly<Record<string, string>>;
  /** The plugin whose results are taken for right; absent: the rules that need one are skipped. */
  readonly oracle?: CheckedPlugin;
  /** Models to try it on, beside those that the rules make: paths of .onnx files, or of folders in Triton's layout. */
  readonly models?: readonly string[];
  /** For one rule; a plugin that is silent for longer hangs. Default 30 s; after a hang at most 3 s for each other rule. */
  readonly timeoutMs?: number;
  /** Only these rules. */
  readonly rules?: readonly string[];
  /**
   * Rules tried at once, each in its process, from 1 (the default) to 64. More than one is for plugins whose devices can
   * be opened by several processes, and leaves less of the machine for each.
   */
  readonly jobs?: number;
  readonly signal?: AbortSignal;
  /** Called for each rule, in their order. */
  readonly onResult?: (result: RuleResult) => void;
}

export interface RuleResult {
  readonly rule: string;
  readonly title: string;
  readonly verdict: 'pass' | 'fail' | 'skip';
  /** Why not passed; '' when it was. */
  readonly reason: string;
  /** Of what kind the failure is; only where it failed. */
  readonly cause?: FailureCause;
  /** How many tasks each device completed for this rule, the oracle's too: 'cpu-fallback:0' -> 12. */
  readonly tasks: Readonly<Record<string, number>>;
  readonly ms: number;
}

/** Ids and titles of the rules, in the order in which they are checked. */
export const pluginRules: readonly { readonly id: string; readonly title: string }[] = rules.map(
  ({ id, title }) => ({ id, title }),
);

/**
 * Holds a plugin against the rules of plugin.h, each in a process of its own with a watchdog, so that one that crashes,
 * hangs or never completes a task fails that rule and no other.
 *
 * @throws AxleError INVALID_ARGUMENT for `jobs` out of range, `args` that no op describes, an oracle that does not open, and of a model in `models`
 * that cannot be read, before any rule is tried; the signal's reason.
 */
export async function checkPlugin(path: string, options: CheckOptions = {}): Promise<RuleResult[]> {
  const { oracle, jobs = 1 } = options;
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > checkJobsMax) {
    throw argumentError('jobs', jobs, `a whole number from 1 to ${checkJobsMax}`);
  }
  const models = (options.models ?? []).map((model) => resolve(model));
  // What is wrong with the model itself is nothing against the plugin.
  for (const model of models) await readGivenModel(model);
  const subject: Subject = {
    path: resolve(path),
    options: options.options ?? {},
    args: options.args ?? {},
    models,
    ...(oracle === undefined ? {} : { oracle: { ...oracle, path: resolve(oracle.path) } }),
  };
  const wanted = options.rules ?? rules.map(({ id }) => id);
  const chosen = rules.filter(({ id }) => wanted.includes(id));
  const course = new Course(options.timeoutMs ?? timeoutMsDefault);
  if (Object.keys(subject.args ?? {}).length > 0) {
    await checkArgs(subject, course.timeoutMs, options.signal);
  }
  if (subject.oracle !== undefined && chosen.some(({ usesOracle }) => usesOracle === true)) {
    await checkOracle(subject.oracle, course.timeoutMs, options.signal);
  }
  const stop = new AbortController();
  const signal =
    options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const started: Promise<RuleRun>[] = [];
  const results: RuleResult[] = [];
  try {
    for (const [at, { id, title }] of chosen.entries()) {
      options.signal?.throwIfAborted();
      // What comes of the first rule says whether the others need be tried.
      const until = at === 0 ? 1 : Math.min(at + jobs, chosen.length);
      while (started.length < until && course.notRun() === undefined) {
        const { id: next } = chosen[started.length] as { readonly id: string };
        const run = runRule(next, subject, course.timeoutMs, signal);
        // Nobody waits for it yet.
        run.catch(() => undefined);
        started.push(run);
      }
      const { report, ms, timeoutMs } = (await started[at]) ?? notRun(course);
      const { verdict, tasks } = course.add(id, report, timeoutMs);
      const result = { rule: id, title, reason: '', ...verdict, tasks, ms };
      results.push(result);
      options.onResult?.(result);
    }
  } finally {
    stop.abort();
  }
  return results;
}

/**
 * Asks the plugin for its arguments, in a process of its own. One that does not even open is for the rules to tell.
 *
 * @throws AxleError INVALID_ARGUMENT when an argument is none, or has a value that is not of its type.
 */
async function checkArgs(
  subject: Subject,
  timeoutMs: number,
  signal = new AbortController().signal,
): Promise<void> {
  const { report } = await runRule(givenArgsRule.id, subject, timeoutMs, signal);
  if (report.verdict !== 'fail' || !report.reason.startsWith(givenArgsRefused)) return;
  throw new AxleError('INVALID_ARGUMENT', report.reason.slice(givenArgsRefused.length));
}

/**
 * Opens the oracle once, in a process of its own, which it may crash.
 *
 * @throws AxleError INVALID_ARGUMENT when it does not open and close: nothing against the plugin.
 */
async function checkOracle(
  oracle: CheckedPlugin,
  timeoutMs: number,
  signal = new AbortController().signal,
): Promise<void> {
  const { report } = await runRule('loads', oracle, timeoutMs, signal);
  if (report.verdict === 'pass') return;
  throw new AxleError(
    'INVALID_ARGUMENT',
    `the oracle does not open: ${report.reason}; give the shared library of a sound plugin, or none`,
  );
}

function notRun(course: Course): RuleRun {
  const { timeoutMs } = course;
  return { report: course.notRun() as RuleRun['report'], ms: 0, timeoutMs };
}
