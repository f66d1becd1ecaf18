import type { Backend, BackendTask, Device, TaskOutcome } from './backend.js';
import { AxleError, messageOf } from './errors.js';
import type { Limits } from './limits.js';
import { Scheduler, type Schedulable } from './scheduler.js';

/** One task on its way through a device's queue. */
export interface QueuedTask extends Schedulable, Omit<BackendTask, 'settle'> {
  /** May run a second time, alone, when the batch that it ran in failed. */
  readonly repeatable: boolean;
}

export interface QueuedResult {
  readonly outcome: TaskOutcome;
  /** Time in Axle's own queue. */
  readonly waitedMs: number;
}

export type Clock = () => number;

/** Batches that wait inside a device while others compute, so that it never idles between two. */
const pipelineDepth = 2;

interface Ticket extends Schedulable {
  readonly task: QueuedTask;
  readonly done: (result: QueuedResult) => void;
  readonly offeredAt: number;
  batchKey: string | undefined;
  sent: BackendTask | undefined;
  cancelled: boolean;
}

/** Runs the scheduler of one device against its backend: the only place where core sends work to a device. */
export class DeviceQueue {
  private readonly scheduler: Scheduler<Ticket>;
  private timer: NodeJS.Timeout | undefined;
  private pumping = false;

  constructor(
    private readonly backend: Backend,
    readonly device: Device,
    limits: Limits,
    private readonly clock: Clock,
  ) {
    const batchesThere = backend.batches === 'there';
    this.scheduler = new Scheduler<Ticket>({
      slots: batchesThere ? limits.queueDepthMax : device.parallel * pipelineDepth,
      queueDepthMax: limits.queueDepthMax,
      device: device.id,
    });
  }

  /** Tasks that wait or run. */
  get load(): number {
    return this.scheduler.waiting + this.scheduler.running;
  }

  /**
   * Queues a task. `done` is called exactly once, also after `cancel`.
   *
   * @returns a function that cancels the task: a waiting one at once, a running one as the device allows.
   * @throws AxleError RESOURCE_EXHAUSTED when the queue is full.
   */
  add(task: QueuedTask, done: (result: QueuedResult) => void): () => void {
    const now = this.clock();
    const ticket: Ticket = {
      task,
      done,
      offeredAt: now,
      batchKey: this.backend.batches === 'there' ? undefined : task.batchKey,
      items: task.items,
      batchItemsMax: task.batchItemsMax,
      batchDelayMs: task.batchDelayMs,
      priority: task.priority,
      deadlineAt: task.deadlineAt,
      tenant: task.tenant,
      sent: undefined,
      cancelled: false,
    };
    this.scheduler.offer(ticket, now);
    this.pumpSoon();
    return () => {
      this.cancel(ticket);
    };
  }

  /** To be called once, with nothing waiting. */
  close(): void {
    clearTimeout(this.timer);
  }

  private cancel(ticket: Ticket): void {
    if (ticket.cancelled) return;
    ticket.cancelled = true;
    if (this.scheduler.remove(ticket)) {
      this.finish(ticket, failure('CANCELLED', 'the call was cancelled while it waited'));
    } else if (ticket.sent !== undefined) {
      this.backend.cancel(ticket.sent);
    }
  }

  /** After the current turn, so that calls made together can run together. */
  private pumpSoon(): void {
    if (this.pumping) return;
    this.pumping = true;
    queueMicrotask(() => {
      this.pumping = false;
      this.pump();
    });
  }

  private pump(): void {
    clearTimeout(this.timer);
    for (;;) {
      const now = this.clock();
      const decision = this.scheduler.poll(now);
      if (decision.kind === 'batch') {
        this.send(decision.tasks);
      } else if (decision.kind === 'expired') {
        for (const ticket of decision.tasks) {
          this.finish(ticket, failure('DEADLINE_EXCEEDED', 'the deadline passed in the queue'));
        }
      } else {
        if (decision.kind === 'wait') this.pumpAt(decision.untilAt - now);
        return;
      }
    }
  }

  private pumpAt(delayMs: number): void {
    this.timer = setTimeout(() => {
      this.pump();
    }, Math.ceil(delayMs));
  }

  private send(tickets: readonly Ticket[]): void {
    let left = tickets.length;
    const sentAt = this.clock();
    const batch = tickets.map((ticket) => {
      const settle = (outcome: TaskOutcome) => {
        left -= 1;
        if (left === 0) {
          this.scheduler.finished();
          this.pumpSoon();
        }
        this.settled(ticket, outcome, tickets.length, sentAt);
      };
      ticket.sent = { ...ticket.task, settle };
      return ticket.sent;
    });
    try {
      this.backend.submit(this.device, batch);
    } catch (error) {
      const cause =
        error instanceof AxleError
          ? error
          : new AxleError('INTERNAL', messageOf(error), { cause: error });
      for (const task of batch) task.settle({ ok: false, error: cause });
    }
  }

  private settled(ticket: Ticket, outcome: TaskOutcome, batchSize: number, sentAt: number): void {
    ticket.sent = undefined;
    const retry = !outcome.ok && batchSize > 1 && ticket.task.repeatable && !ticket.cancelled;
    if (!retry) {
      ticket.done({ outcome, waitedMs: sentAt - ticket.offeredAt });
      return;
    }
    // Whichever task of the batch was at fault fails again alone; the others succeed.
    ticket.batchKey = undefined;
    this.scheduler.readmit(ticket, this.clock());
    this.pumpSoon();
  }

  private finish(ticket: Ticket, outcome: TaskOutcome): void {
    ticket.done({ outcome, waitedMs: this.clock() - ticket.offeredAt });
  }
}

function failure(code: 'CANCELLED' | 'DEADLINE_EXCEEDED', message: string): TaskOutcome {
  return { ok: false, error: new AxleError(code, message) };
}
