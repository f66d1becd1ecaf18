import type { CheckReport, CheckVerdict, FailureCause } from './check-child.js';

/** How the process of a rule ended. */
export interface Exit {
  readonly report: CheckReport | undefined;
  readonly timedOut: boolean;
  readonly timeoutMs: number;
  readonly code: number | null;
  readonly killedBy: NodeJS.Signals | null;
  /** What it wrote to stderr. */
  readonly errors: string;
}

/** A verdict counts only from a process that also ended well: what a plugin does as it is closed belongs to the rule. */
export function verdictOfExit({
  report,
  timedOut,
  timeoutMs,
  code,
  killedBy,
  errors,
}: Exit): CheckVerdict {
  const said = tellingLine(errors);
  if (timedOut) {
    const what = report === undefined ? 'no end of it' : 'the process did not exit';
    const reason = `${what} within ${timeoutMs / 1000} s: a task was never completed, or a slot waits`;
    return failure(reason, 'hang');
  }
  if (killedBy !== null) {
    return failure(`the process was ended by ${killedBy}${said && `: ${said}`}`, 'crash');
  }
  // Node ends with another code, and says why.
  if (report === undefined && (code === 0 || said === '')) {
    return failure(`the plugin ended the process, with exit code ${code ?? 0}`, 'exit');
  }
  if (code !== 0 || report === undefined) {
    return failure(`the process exited with ${code ?? 0}${said && `: ${said}`}`, 'exit');
  }
  return report;
}

function failure(reason: string, cause: FailureCause): CheckVerdict {
  return { verdict: 'fail', reason, cause };
}

/** A sanitizer says what it found in the midst of a long report; others say it last. */
function tellingLine(errors: string): string {
  const lines = errors
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return lines.find((line) => /Sanitizer: |: runtime error: /.test(line)) ?? lines.at(-1) ?? '';
}
