import { performance } from 'node:perf_hooks';

/** Tasks are looked at no more often, milliseconds. */
const gapMs = 2;

/** Tells of tasks that have waited for long enough. One timer for all: one for each would cost more than its call does. */
export class LateTasks<Task extends object> {
  private readonly lateAt = new Map<Task, number>();
  private timer: NodeJS.Timeout | undefined;
  private timerAt = Infinity;

  constructor(private readonly onLate: (task: Task) => void) {}

  watch(task: Task, lateMs: number): void {
    const at = performance.now() + lateMs;
    this.lateAt.set(task, at);
    if (at < this.timerAt) this.lookAt(at);
  }

  forget(task: Task): void {
    this.lateAt.delete(task);
  }

  close(): void {
    clearTimeout(this.timer);
    this.lateAt.clear();
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
    for (const [task, at] of this.lateAt) {
      if (at > now) {
        next = Math.min(next, at);
        continue;
      }
      this.lateAt.delete(task);
      this.onLate(task);
    }
    if (next < this.timerAt) this.lookAt(next);
  }
}
