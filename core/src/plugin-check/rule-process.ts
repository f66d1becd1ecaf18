import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { CheckReport } from './check-child.js';
import { outstandingQuestion, type CheckMessage } from './check-message.js';
import { verdictOfExit } from './child-exit.js';
import { endGroup, groupSize } from './process-group.js';
import type { Subject } from './rule.js';

const childModule = fileURLToPath(new URL('check-child.js', import.meta.url));
/** Wide enough for a row too many; guard pages begin behind it. See core/native/src/fence.cc and guard_pages.h. */
const fenceBytes = 4096;
/** Of what a child writes to stderr, the last characters that are kept. A sanitizer's report fits. */
const errorTextMax = 65_536;
/** After the process of a rule: processes that the plugin started must have ended too by then. */
const graceMs = 500;
const pollMs = 10;
/** For a process whose time is over: it may say what it waits for, unless its JavaScript stands still. */
const answerMs = 500;

/** What came of one rule, and the time that it took and was given. */
export interface RuleRun {
  readonly report: CheckReport;
  readonly ms: number;
  readonly timeoutMs: number;
}

/**
 * Tries one rule in a process of its own, which the watchdog and the signal end, with all that the plugin started.
 *
 * @throws the signal's reason; an Error when no process can be started.
 */
export async function runRule(
  rule: string,
  subject: Subject,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<RuleRun> {
  signal.throwIfAborted();
  const startedAt = performance.now();
  const child = fork(childModule, [JSON.stringify({ rule, ...subject })], {
    // A young generation that stays small: its growth would hide what a plugin leaves behind.
    execArgv: ['--expose-gc', '--max-semi-space-size=1'],
    env: { ...process.env, AXLE_FENCE_BYTES: String(fenceBytes) },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // A process group of its own, which also has what the plugin starts.
    detached: true,
  });
  let report: CheckReport | undefined;
  let closing = false;
  let outstanding = '';
  let timedOut = false;
  const kill = () => endGroup(child.pid as number);
  child.on('message', (message: CheckMessage) => {
    if ('closing' in message) {
      closing = message.closing;
    } else if ('outstanding' in message) {
      outstanding = message.outstanding;
      kill();
    } else if (!timedOut) {
      report = message;
    }
  });
  let errors = '';
  child.stderr?.on(
    'data',
    (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-errorTextMax)),
  );
  const drained = Promise.all([once(child, 'close'), once(child, 'disconnect')]);
  drained.catch(() => undefined);
  let lastWatchdog: NodeJS.Timeout | undefined;
  const watchdog = setTimeout(() => {
    timedOut = true;
    if (!child.connected) {
      kill();
      return;
    }
    // It may have ended meanwhile.
    child.send(outstandingQuestion, () => undefined);
    lastWatchdog = setTimeout(kill, answerMs);
  }, timeoutMs);
  signal.addEventListener('abort', kill);
  try {
    const [code, killedBy] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    clearTimeout(watchdog);
    clearTimeout(lastWatchdog);
    const left = await processesLeft(child, drained);
    signal.throwIfAborted();
    const exit = {
      report,
      closing,
      timedOut,
      outstanding,
      timeoutMs,
      code,
      killedBy,
      errors,
      left,
    };
    const verdict = verdictOfExit(exit);
    const ms = performance.now() - startedAt;
    return { report: { ...verdict, tasks: report?.tasks ?? {} }, ms, timeoutMs };
  } finally {
    clearTimeout(watchdog);
    clearTimeout(lastWatchdog);
    signal.removeEventListener('abort', kill);
  }
}

/**
 * How many processes run on after the child's end and the grace; they are ended.
 *
 * @param drained all that the child sent and wrote has come; whoever inherited its pipes keeps that from happening.
 */
async function processesLeft(child: ChildProcess, drained: Promise<unknown>): Promise<number> {
  const group = child.pid as number;
  const until = performance.now() + graceMs;
  const stop = new AbortController();
  const grace = delay(graceMs, false, { signal: stop.signal }).catch(() => false);
  const isDrained = await Promise.race([drained.then(() => true), grace]);
  stop.abort();
  while (groupSize(group) > 0 && performance.now() < until) await delay(pollMs);
  const left = groupSize(group);
  if (left > 0) endGroup(group);
  if (isDrained) return left;
  child.stderr?.destroy();
  if (child.connected) child.disconnect();
  // One in a group of its own holds them.
  return Math.max(left, 1);
}
