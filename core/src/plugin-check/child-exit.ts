import type { CheckReport, CheckVerdict, FailureCause } from './check-child.js';

/** How the process of a rule ended. */
export interface Exit {
  readonly report: CheckReport | undefined;
  /** Whether the plugin's `close` was called and has not returned. */
  readonly closing: boolean;
  readonly timedOut: boolean;
  /** Which tasks it waited for then; '' = none, or it could not say. */
  readonly outstanding: string;
  readonly timeoutMs: number;
  readonly code: number | null;
  readonly killedBy: NodeJS.Signals | null;
  /** What it wrote to stderr. */
  readonly errors: string;
  /** Processes that the plugin started and that did not end with it. */
  readonly left: number;
}

/** A verdict counts only from a process that also ended well: what a plugin does as it is closed belongs to the rule. */
export function verdictOfExit({
  report,
  closing,
  timedOut,
  outstanding,
  timeoutMs,
  code,
  killedBy,
  errors,
  left,
}: Exit): CheckVerdict {
  const said = tellingLine(errors);
  if (timedOut) return failure(hangReason(report, closing, outstanding, timeoutMs), 'hang');
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
  if (left > 0 && report.verdict !== 'fail') {
    const what = left === 1 ? 'a process running' : `${left} processes running`;
    return failure(`it left ${what} that it had started`, 'contract');
  }
  return report;
}

function hangReason(
  report: CheckReport | undefined,
  closing: boolean,
  outstanding: string,
  timeoutMs: number,
): string {
  const within = `within ${timeoutMs / 1000} s`;
  if (closing) return `its close did not return ${within}`;
  if (report !== undefined)
    return `the process did not exit ${within}: a thread of the plugin's holds it`;
  return `no end of it ${within}: ${outstanding || 'a task was never completed, or a slot waits'}`;
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
