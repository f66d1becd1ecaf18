// One rule against one plugin, in a process of its own: it may crash or hang. argv: the job as JSON.
import { messageOf } from '../errors.js';
import { ErrorCode } from '../generated/constants.js';
import { faultsSeen, tasksByDevice } from './host-connection.js';
import { RuleBroken, RuleSkipped, type Subject } from './rule.js';
import { rules } from './rules.js';

export interface CheckJob extends Subject {
  readonly rule: string;
}

export type CheckVerdict =
  { readonly verdict: 'pass' } | { readonly verdict: 'skip' | 'fail'; readonly reason: string };

/** What the process of one rule sends. */
export type CheckReport = CheckVerdict & {
  /** Tasks that each device completed: 'cpu-fallback:0' -> 12. */
  readonly tasks: Readonly<Record<string, number>>;
};

async function verdictOf({ rule: id, ...subject }: CheckJob): Promise<CheckVerdict> {
  const rule = rules.find((candidate) => candidate.id === id);
  if (rule === undefined) return { verdict: 'fail', reason: `there is no rule '${id}'` };
  try {
    await rule.check(subject);
  } catch (error) {
    return explain(error);
  }
  const { count, lines } = faultsSeen();
  if (count === 0) return { verdict: 'pass' };
  return { verdict: 'fail', reason: [...new Set(lines)].slice(0, 3).join('; ') };
}

function explain(error: unknown): CheckVerdict {
  if (error instanceof RuleSkipped) return { verdict: 'skip', reason: error.message };
  const status = (error as { status?: unknown }).status;
  if (status === ErrorCode.UNAVAILABLE) {
    return { verdict: 'skip', reason: `not available here: ${messageOf(error)}` };
  }
  const { count, lines } = faultsSeen();
  const seen = error instanceof RuleBroken && count > 0 ? ` (${lines.at(-1) ?? ''})` : '';
  return { verdict: 'fail', reason: `${messageOf(error)}${seen}` };
}

const verdict = await verdictOf(JSON.parse(process.argv[2] ?? '{}') as CheckJob);
const report: CheckReport = { ...verdict, tasks: tasksByDevice() };
process.send?.(report);
process.disconnect();
