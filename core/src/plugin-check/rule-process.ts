import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { CheckReport } from './check-child.js';
import { verdictOfExit } from './child-exit.js';
import type { Subject } from './rule.js';

const childModule = fileURLToPath(new URL('check-child.js', import.meta.url));
/** Wide enough for a row too many; more would only slow the rules down. See core/native/src/fence.cc. */
const fenceBytes = 4096;
/** Of what a child writes to stderr, the last characters that are kept. A sanitizer's report fits. */
const errorTextMax = 65_536;

/** What came of one rule, and the time that it took and was given. */
export interface RuleRun {
  readonly report: CheckReport;
  readonly ms: number;
  readonly timeoutMs: number;
}

/**
 * Tries one rule in a process of its own, which the watchdog and the signal end.
 *
 * @throws the signal's reason; an Error when no process can be started.
 */
export function runRule(
  rule: string,
  subject: Subject,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<RuleRun> {
  const startedAt = performance.now();
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
    signal.addEventListener('abort', kill);
    child.on('message', (message) => (report = message as CheckReport));
    child.on('error', reject);
    child.on('close', (code, killedBy) => {
      clearTimeout(watchdog);
      signal.removeEventListener('abort', kill);
      if (signal.aborted) reject(signal.reason as Error);
      else {
        const verdict = verdictOfExit({ report, timedOut, timeoutMs, code, killedBy, errors });
        const ms = performance.now() - startedAt;
        settle({ report: { ...verdict, tasks: report?.tasks ?? {} }, ms, timeoutMs });
      }
    });
  });
}
