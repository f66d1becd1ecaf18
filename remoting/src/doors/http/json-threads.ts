import { availableParallelism } from 'node:os';

import { AxleError } from '@axle/core/internal';
import { Piscina } from 'piscina';

import { jsonThreadsMax, jsonWaitingMax, jsonWaitingOfAllMax } from '../door-limits.js';
import type { JsonOutcome, JsonTask } from './json-task.js';
import { TenantTurns } from './tenant-turns.js';

/** A thread without work, milliseconds. */
const idleMs = 30_000;

/** Threads that read and write large JSON, begun when there is some. */
export class JsonThreads {
  private readonly turns = new TenantTurns();
  private readonly pool = new Piscina<JsonTask, JsonOutcome>({
    filename: new URL('json-thread.js', import.meta.url).href,
    name: 'run',
    minThreads: 0,
    maxThreads: Math.min(jsonThreadsMax, availableParallelism()),
    idleTimeout: idleMs,
    maxQueue: jsonWaitingOfAllMax,
    taskQueue: this.turns,
    stricterFIFO: true,
    // A thread that waits in a system call keeps its memory from being collected.
    atomics: 'disabled',
  });

  /** @param onLost told when a thread ended by itself: these are of no use any more */
  constructor(onLost: () => void = () => undefined) {
    // What was under way and what waits fails with it.
    this.pool.on('error', () => {
      onLost();
      void this.pool.destroy();
    });
  }

  /**
   * @param memory that goes over to the thread
   * @throws AxleError as the task; RESOURCE_EXHAUSTED if too many wait; UNAVAILABLE when its thread ended
   */
  async run<T>(tenant: string, task: JsonTask, memory: readonly ArrayBuffer[]): Promise<T> {
    const waiting = this.turns.waitingOf(tenant);
    if (waiting >= jsonWaitingMax) throw tooMany(`tenant ${tenant}`, waiting);
    if (this.turns.size >= jsonWaitingOfAllMax) throw tooMany('all tenants', this.turns.size);
    const told = { ...task, [Piscina.queueOptionsSymbol]: { tenant } };
    const outcome = await this.pool.run(told, { transferList: [...memory] }).catch(lost);
    if ('value' in outcome) return outcome.value as T;
    const { code, message, retryable } = outcome;
    throw new AxleError(code, message, { retryable });
  }

  async close(): Promise<void> {
    await this.pool.destroy();
  }
}

function lost(cause: unknown): never {
  throw new AxleError(
    'UNAVAILABLE',
    'the thread that reads and writes large JSON ended; try again, or send the tensors as binary data',
    { cause },
  );
}

function tooMany(whose: string, count: number): AxleError {
  return AxleError.expected(
    'RESOURCE_EXHAUSTED',
    `${count} requests and answers of ${whose} with much JSON wait to be read or written; try again later, or send the tensors as binary data`,
  );
}
