import { fork } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { CheckReport, FailureCause } from './check-child.js';
import { verdictOfExit } from './child-exit.js';
import { Course } from './course.js';
import { readGivenModel } from './given-model.js';
import type { CheckedPlugin, Subject } from './rule.js';
import { rules } from './rules.js';

const childModule = fileURLToPath(new URL('check-child.js', import.meta.url));
const timeoutMsDefault = 30_000;
/** Wide enough for a row too many; more would only slow the rules down. See core/native/src/fence.cc. */
const fenceBytes = 4096;
/** Of what a child writes to stderr, the last characters that are kept. A sanitizer's report fits. */
const errorTextMax = 65_536;

export interface CheckOptions {
  /** That the plugin is opened with. */
  readonly options?: Readonly<Record<string, string>>;
  /** The plugin whose results are taken for right; absent: the rules that need one are skipped. */
  readonly oracle?: CheckedPlugin;
  /** Models to try it on, beside those that the rules make: paths of .onnx files, or of folders in Triton's layout. */
  readonly models?: readonly string[];
  /** For one rule; a plugin that is silent for longer hangs. Default 30 s; after a hang at most 3 s for each other rule. */
  readonly timeoutMs?: number;
  /** Only these rules. */
  readonly rules?: readonly string[];
  readonly signal?: AbortSignal;
  /** Called as each rule is done. */
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
 * @throws AxleError of a model in `models` that cannot be read, before any rule is tried; the signal's reason.
 */
export async function checkPlugin(path: string, options: CheckOptions = {}): Promise<RuleResult[]> {
  const { oracle } = options;
  const models = (options.models ?? []).map((model) => resolve(model));
  // What is wrong with the model itself is nothing against the plugin.
  for (const model of models) await readGivenModel(model);
  const subject: Subject = {
    path: resolve(path),
    options: options.options ?? {},
    models,
    ...(oracle === undefined ? {} : { oracle: { ...oracle, path: resolve(oracle.path) } }),
  };
  const wanted = options.rules ?? rules.map(({ id }) => id);
  const results: RuleResult[] = [];
  const course = new Course(options.timeoutMs ?? timeoutMsDefault);
  for (const { id, title } of rules.filter((rule) => wanted.includes(rule.id))) {
    options.signal?.throwIfAborted();
    const startedAt = performance.now();
    const report = course.notRun() ?? (await runRule(id, subject, course.timeoutMs, options));
    const { verdict, tasks } = course.add(id, report);
    const ms = performance.now() - startedAt;
    const result = { rule: id, title, reason: '', ...verdict, tasks, ms };
    results.push(result);
    options.onResult?.(result);
  }
  return results;
}

function runRule(
  rule: string,
  subject: Subject,
  timeoutMs: number,
  { signal }: CheckOptions,
): Promise<CheckReport> {
  return new Promise((settle, reject) => {
    const child = fork(childModule, [JSON.stringify({ rule, ...subject })], {
      // A young generation that stays small: its growth would hide what a plugin leaves behind.
      execArgv: ['--expose-gc', '--max-semi-space-size=1'],
      env: { ...process.env, AXLE_FENCE_BYTES: String(fenceBytes) },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let report: CheckReport | undefined;
    let timedOut = false;
    let errors = '';
    child.stderr?.on(
      'data',
      (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-errorTextMax)),
    );
    const kill = () => child.kill('SIGKILL');
    const watchdog = setTimeout(() => {
      timedOut = true;
      kill();
    }, timeoutMs);
    signal?.addEventListener('abort', kill);
    child.on('message', (message) => (report = message as CheckReport));
    child.on('error', reject);
    child.on('close', (code, killedBy) => {
      clearTimeout(watchdog);
      signal?.removeEventListener('abort', kill);
      if (signal?.aborted === true) reject(signal.reason as Error);
      else {
        const verdict = verdictOfExit({ report, timedOut, timeoutMs, code, killedBy, errors });
        settle({ ...verdict, tasks: report?.tasks ?? {} });
      }
    });
  });
}
