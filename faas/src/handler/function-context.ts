import type { Client } from 'axle';
import { AxleError } from 'axle/errors';

import type { ServedCall } from '../channel/instance-channel.js';
import type { PoolConnection } from './pool-connection.js';

/** What is the same for all calls of an instance. */
export interface FunctionSurroundings {
  readonly functionName: string;
  readonly instance: string;
  readonly timeoutMs: number;
  readonly secrets: ReadonlyMap<string, Buffer>;
  readonly pool: PoolConnection | undefined;
}

/** What a handler knows besides its event. */
export class FunctionContext {
  private readonly startedAt = performance.now();
  private controller: AbortController | undefined;

  constructor(
    private readonly call: ServedCall,
    private readonly surroundings: FunctionSurroundings,
  ) {}

  /** The same for each attempt at the same call: to tell repeats by. */
  get callId(): string {
    return this.call.head.id;
  }

  get functionName(): string {
    return this.surroundings.functionName;
  }

  get instance(): string {
    return this.surroundings.instance;
  }

  /** Secrets of the deployment by name: `context.secrets.get('key')?.toString()`. */
  get secrets(): ReadonlyMap<string, Buffer> {
    return this.surroundings.secrets;
  }

  /**
   * A client of the pool, connected, with the models of the manifest loaded, under a token of this function.
   *
   * @throws AxleError FAILED_PRECONDITION where the front end has no pool; UNAVAILABLE while that does not answer since
   * before the instance started.
   */
  get axle(): Client {
    const { pool } = this.surroundings;
    if (pool !== undefined) return pool.client;
    throw new AxleError('FAILED_PRECONDITION', 'the front end of this function has no pool');
  }

  /** Aborted when nobody waits for the answer any more: the caller has gone, or the time is over. */
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      const controller = new AbortController();
      this.controller = controller;
      const abort = (): void => {
        controller.abort();
      };
      if (this.call.isCancelled) abort();
      else this.call.onCancel = abort;
    }
    return this.controller.signal;
  }

  /**
   * What is left of the function's time for this call, milliseconds; fit for `deadlineMs` of calls to `axle`. Like `log`,
   * of use by itself: `({ remainingMs })`.
   */
  get remainingMs(): () => number {
    return () => {
      const passedMs = performance.now() - this.startedAt;
      return Math.max(0, Math.floor(this.surroundings.timeoutMs - passedMs));
    };
  }

  /** Prints a line with the id of the call. */
  get log(): (...values: unknown[]) => void {
    return (...values) => {
      console.log(`[${this.callId}]`, ...values);
    };
  }
}
