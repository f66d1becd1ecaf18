import { performance } from 'node:perf_hooks';

import { LinkedSet, type Linked } from './linked-set.js';

/** Tasks are looked at no more often, milliseconds. */
const gapMs = 2;

/** A task that may be late. */
export interface Watched<Task> extends Linked<Task> {
  /** From when on it is late, on the clock of `performance`. */
  lateAt: number;
}

/** Tells of tasks that have waited for long enough. One timer for all: one for each would cost more than its call does. */
export class LateTasks<Task extends Watched<Task>> {
  private readonly watched = new LinkedSet<Task>();
  private timer: NodeJS.Timeout | undefined;
  private timerAt = Infinity;

  constructor(private readonly onLate: (task: Task) => void) {}

  /** @param now on the clock of `performance` */
  watch(task: Task, lateMs: number, now: number): void {
    const at = now + lateMs;
    task.lateAt = at;
    this.watched.add(task);
    if (at < this.timerAt) this.lookAt(at);
  }

  forget(task: Task): void {
    this.watched.delete(task);
  }

  close(): void {
    clearTimeout(this.timer);
    for (const task of this.watched) this.watched.delete(task);
  }

  private lookAt(at: number): void {
    clearTimeout(this.timer);
    this.timerAt = at;
    const look = () => {
      this.look();
    };
    this.timer = setTimeout(look, Math.max(gapMs, Math.ceil(at - performance.now()))).unref();
  }

  private look(): void {
    this.timerAt = Infinity;
    const now = performance.now();
    let next = Infinity;
    const late: Task[] = [];
    for (const task of this.watched) {
      if (task.lateAt > now) next = Math.min(next, task.lateAt);
      else late.push(task);
    }
    for (const task of late) {
      // What was done for one may have settled another.
      if (this.watched.delete(task)) this.onLate(task);
    }
    if (next < this.timerAt) this.lookAt(next);
  }
}
