import { Heap } from './heap.js';
import {
  firstGoesBefore,
  type Lane,
  type Schedulable,
  type TaskGroup,
  type Waiting,
} from './task-group.js';
import type { Tenant } from './tenants.js';

/** Lanes of one priority and tenant, the one with the first task on top. */
export interface LaneClass<T extends Schedulable<T>> {
  readonly priority: number;
  readonly tenant: Tenant;
  readonly lanes: Heap<Lane<T>>;
}

/**
 * Lanes whose tasks wait for the device alone. There may be thousands of them, one for each set of arguments, and the next
 * task is found without looking at all.
 */
export class FreeLanes<T extends Schedulable<T>> {
  /** None is empty. */
  readonly classes: LaneClass<T>[] = [];

  /** To be called when tasks were put into a lane or taken out. */
  changed(lane: Lane<T>): void {
    const first = lane.queue.peek();
    if (first === lane.first) return;
    const { lanes } = this.classOf(lane);
    // By the task that it was put there for.
    if (lane.first !== undefined) lanes.remove(lane);
    lane.first = first;
    if (first !== undefined) lanes.push(lane);
    else if (lanes.size === 0) this.drop(lane);
  }

  /** Those with waiting tasks, in no order. */
  *groups(): Generator<TaskGroup<T>> {
    for (const { lanes } of this.classes) {
      for (const lane of lanes.values()) {
        const { group } = lane.first as Waiting<T>;
        // Once, however many lanes it has.
        if (group.lanes[0] === lane) yield group;
      }
    }
  }

  private classOf({ priority, tenant }: Lane<T>): LaneClass<T> {
    for (const each of this.classes) {
      if (each.tenant === tenant && each.priority === priority) return each;
    }
    const added = { priority, tenant, lanes: new Heap<Lane<T>>(firstGoesBefore) };
    this.classes.push(added);
    return added;
  }

  private drop({ priority, tenant }: Lane<T>): void {
    const at = this.classes.findIndex(
      (each) => each.tenant === tenant && each.priority === priority,
    );
    this.classes.splice(at, 1);
  }
}
