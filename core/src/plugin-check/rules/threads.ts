import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { broken, skipped, type CheckedPlugin, type Rule } from '../rule.js';
import { usePlugin, type ThreadReport } from '../thread-user.js';

const threadModule = new URL('../thread-user.js', import.meta.url);

async function checkThreads({ path, options, args }: CheckedPlugin): Promise<void> {
  const subject = { path, options, ...(args === undefined ? {} : { args }) };
  const worker = new Worker(threadModule, { workerData: subject });
  let other: ThreadReport | undefined;
  const ended = once(worker, 'message').then(([report]) => (other = report as ThreadReport));
  const exited = once(worker, 'exit');
  const own: ThreadReport[] = [];
  // The other one starts later, and is to have company as long as it works.
  do own.push(await usePlugin(subject));
  while (other === undefined && own.at(-1)?.end === 'kept');
  const reports = [...own, await ended];
  await exited;
  for (const report of reports) {
    if (report.end === 'skipped') skipped(report.message);
    if (report.end !== 'kept') broken(`used by two threads at once: ${report.message}`);
  }
}

/** A queue has one user, a plugin many: worker threads have queues of their own. */
export const threadRules: readonly Rule[] = [
  {
    id: 'threads',
    title: 'is used by two threads at once, each with a queue of its own',
    check: checkThreads,
  },
];
