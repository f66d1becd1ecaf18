import { Piscina } from 'piscina';

type TaskQueue = NonNullable<NonNullable<ConstructorParameters<typeof Piscina>[0]>['taskQueue']>;
type Task = Parameters<TaskQueue['push']>[0];

/** Tasks of a pool of threads that wait, tenant by tenant in turns: one with many keeps none of the others waiting. */
export class TenantTurns implements TaskQueue {
  /** In the order of their turns. */
  private readonly waiting = new Map<string, Task[]>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  waitingOf(tenant: string): number {
    return this.waiting.get(tenant)?.length ?? 0;
  }

  push(task: Task): void {
    this.tasksOf(task).push(task);
    this.count += 1;
  }

  /** Of a task that no thread could take: its tenant's turn is not over. */
  unshift(task: Task): void {
    const tenant = tenantOf(task);
    const tasks = [task, ...(this.waiting.get(tenant) ?? [])];
    const others = [...this.waiting].filter(([name]) => name !== tenant);
    this.waiting.clear();
    for (const [name, its] of [[tenant, tasks] as const, ...others]) this.waiting.set(name, its);
    this.count += 1;
  }

  shift(): Task | null {
    const [first] = this.waiting;
    if (first === undefined) return null;
    const [tenant, tasks] = first;
    const task = tasks.shift() ?? null;
    this.waiting.delete(tenant);
    if (tasks.length > 0) this.waiting.set(tenant, tasks);
    this.count -= 1;
    return task;
  }

  remove(task: Task): void {
    const tenant = tenantOf(task);
    const tasks = this.waiting.get(tenant) ?? [];
    const place = tasks.indexOf(task);
    if (place < 0) return;
    tasks.splice(place, 1);
    if (tasks.length === 0) this.waiting.delete(tenant);
    this.count -= 1;
  }

  private tasksOf(task: Task): Task[] {
    const tenant = tenantOf(task);
    const known = this.waiting.get(tenant);
    const tasks = known ?? [];
    if (known === undefined) this.waiting.set(tenant, tasks);
    return tasks;
  }
}

function tenantOf(task: Task): string {
  return (task[Piscina.queueOptionsSymbol as keyof Task] as { tenant: string }).tenant;
}
