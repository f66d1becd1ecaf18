import type { TaskTiming } from './backend.js';

/**
 * What a device says that a task took, within the time in which it had the task: whoever tells of more is not believed,
 * for the router and the queues go by it.
 *
 * @param elapsedMs from handing the task over to its completion
 */
export function timesWithin(
  elapsedMs: number,
  queueMs: number,
  transferMs: number,
  computeMs: number,
): Omit<TaskTiming, 'batchSize'> {
  if (queueMs + transferMs + computeMs <= elapsedMs) return { queueMs, transferMs, computeMs };
  const compute = Math.min(computeMs, elapsedMs);
  const transfer = Math.min(transferMs, elapsedMs - compute);
  const queue = Math.min(queueMs, elapsedMs - compute - transfer);
  return { queueMs: queue, transferMs: transfer, computeMs: compute };
}
