// One rule against one plugin, in a process of its own: it may crash or hang. argv: the job as JSON.
import { messageOf } from '../errors.js';
import { ErrorCode } from '../generated/constants.js';
import { outstandingQuestion, tellParent } from './check-message.js';
import { faultsSeen, outstandingText, tasksByDevice } from './host-connection.js';
import { endGroup } from './process-group.js';
import { RuleBroken, RuleSkipped, type Subject } from './rule.js';
import { givenArgsRule, rules } from './rules.js';

export interface CheckJob extends Subject {
  readonly rule: string;
}

/**
 * What kind of thing failed: the process was ended by a signal, or by the plugin itself, or did not end in time; the
 * plugin did what its contract forbids: a call that the plugin host saw, or a process that it left; or what came of the rule was wrong.
 */
export type FailureCause = 'crash' | 'exit' | 'hang' | 'contract' | 'result';

export type CheckVerdict =
  | { readonly verdict: 'pass' }
  | { readonly verdict: 'skip'; readonly reason: string }
  | { readonly verdict: 'fail'; readonly reason: string; readonly cause: FailureCause };

/** What the process of one rule sends. */
export type CheckReport = CheckVerdict & {
  /** Tasks that each device completed: 'cpu-fallback:0' -> 12. */
  readonly tasks: Readonly<Record<string, number>>;
};

async function verdictOf({ rule: id, ...subject }: CheckJob): Promise<CheckVerdict> {
  const rule = [...rules, givenArgsRule].find((candidate) => candidate.id === id);
  if (rule === undefined) return failure(`there is no rule '${id}'`, 'result');
  try {
    await rule.check(subject);
  } catch (error) {
    return explain(error);
  }
  const faults = faultsSeen();
  return faults === undefined ? { verdict: 'pass' } : failure(faults, 'contract');
}

function failure(reason: string, cause: FailureCause): CheckVerdict {
  return { verdict: 'fail', reason, cause };
}

function explain(error: unknown): CheckVerdict {
  if (error instanceof RuleSkipped) {
    const faults = faultsSeen();
    if (faults !== undefined) return failure(faults, 'contract');
    return { verdict: 'skip', reason: error.message };
  }
  const status = (error as { status?: unknown }).status;
  if (status === ErrorCode.UNAVAILABLE) {
    return { verdict: 'skip', reason: `not available here: ${messageOf(error)}` };
  }
  const faults = faultsSeen();
  if (!(error instanceof RuleBroken) || faults === undefined) {
    return failure(messageOf(error), 'result');
  }
  const message = messageOf(error);
  // The plugin host says the same in the message of a task that it spoils.
  const isSaid = message.includes(faults.replace(/ \(\d+ times\)$/, ''));
  return failure(isSaid ? message : `${message} (${faults})`, 'contract');
}

/** Nobody would end this process when it hangs, or those that the plugin starts. */
function onParentLost(): void {
  endGroup(process.pid);
}

process.on('disconnect', onParentLost);
process.on('message', (question) => {
  if (question !== outstandingQuestion) return;
  void tellParent({ outstanding: outstandingText() ?? '' });
});
// Lost before there was a listener.
if (!process.connected) onParentLost();
const verdict = await verdictOf(JSON.parse(process.argv[2] ?? '{}') as CheckJob);
const report: CheckReport = { ...verdict, tasks: tasksByDevice() };
await tellParent(report);
process.off('disconnect', onParentLost);
process.disconnect();
