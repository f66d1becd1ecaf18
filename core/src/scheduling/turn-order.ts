import { batchMs } from './estimates.js';
import { dueAt, type Schedulable, type Waiting } from './task-group.js';
import type { Tenant } from './tenants.js';

/**
 * Whose turn it is among tasks whose batches may go now: who has not had yet what it is sure of, then higher priority first; among equals the tenant that had the least
 * device time for its weight; within a tenant the earliest deadline, then arrival. Where tenants are close, the model that
 * ran last goes on.
 */
export class TurnOrder<T extends Schedulable<T>> {
  /** That ran last, by its key. */
  lastModel = '';

  /** @param largestBatchMs what the largest batch that can be formed now is expected to take */
  firstOf(
    all: readonly Waiting<T>[],
    now: number,
    largestBatchMs: () => number,
  ): Waiting<T> | undefined {
    if (all.length < 2) return all[0];
    const heads = shortOf(all, now);
    let [first] = heads;
    if (first === undefined || heads.length === 1) return first;
    for (const head of heads) if (this.goesBefore(head, first)) first = head;
    return this.stickyHead(heads, first, largestBatchMs) ?? first;
  }

  private goesBefore(a: Waiting<T>, b: Waiting<T>): boolean {
    if (a.lane.priority !== b.lane.priority) return a.lane.priority > b.lane.priority;
    const [aTenant, bTenant] = [a.lane.tenant, b.lane.tenant];
    if (aTenant.virtualMs !== bTenant.virtualMs) return aTenant.virtualMs < bTenant.virtualMs;
    const [aDue, bDue] = [dueAt(a), dueAt(b)];
    if (aDue !== bDue) return aDue < bDue;
    const [aSticks, bSticks] = [this.sticks(a), this.sticks(b)];
    if (aSticks !== bSticks) return aSticks;
    return a.sequence < b.sequence;
  }

  private sticks({ group }: Waiting<T>): boolean {
    return group.model !== '' && group.model === this.lastModel;
  }

  /** Another tenant's next task where it is for the model that ran last and keeps the tenants within one largest batch. */
  private stickyHead(
    heads: readonly Waiting<T>[],
    first: Waiting<T>,
    largestBatchMs: () => number,
  ): Waiting<T> | undefined {
    if (this.sticks(first) || !heads.some((head) => this.sticks(head))) return undefined;
    const boundMs = first.lane.tenant.virtualMs + largestBatchMs();
    let sticky: Waiting<T> | undefined;
    for (const head of this.nextOfEachTenant(heads, first.lane.priority)) {
      const { tenant } = head.lane;
      if (!this.sticks(head)) continue;
      if (tenant.virtualMs + batchMs(head.group) / tenant.weight > boundMs) continue;
      if (sticky === undefined || this.goesBefore(head, sticky)) sticky = head;
    }
    return sticky;
  }

  private nextOfEachTenant(heads: readonly Waiting<T>[], priority: number): Iterable<Waiting<T>> {
    const next = new Map<Tenant, Waiting<T>>();
    for (const head of heads) {
      if (head.lane.priority !== priority) continue;
      const other = next.get(head.lane.tenant);
      if (other === undefined || this.goesBefore(head, other)) next.set(head.lane.tenant, head);
    }
    return next.values();
  }
}

/** Those of tenants that have not had yet what they are sure of; all, where none is. */
function shortOf<T extends Schedulable<T>>(
  heads: readonly Waiting<T>[],
  now: number,
): readonly Waiting<T>[] {
  if (!heads.some(({ lane }) => lane.tenant.slice !== undefined)) return heads;
  const short = heads.filter(({ lane }) => lane.tenant.slice?.isShort(now) === true);
  return short.length > 0 ? short : heads;
}
