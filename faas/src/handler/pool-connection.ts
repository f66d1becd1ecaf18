import type { Client } from 'axle';
import { AxleError } from 'axle/errors';

import type { InstanceSetup } from './instance-setup.js';

/** For which a start waits for a pool that neither answers nor refuses, milliseconds. */
const patienceMs = 5000;
const firstRetryMs = 200;
const longestRetryMs = 5000;

/**
 * The pool of an instance. One that does not answer keeps no function from starting: it is tried again and again, and
 * what the function asks of it fails until then. Once connected, the client comes back by itself.
 */
export class PoolConnection {
  private connected: Client | undefined;
  private trouble = new AxleError('UNAVAILABLE', 'it has not answered yet');
  private retryMs = firstRetryMs;

  private constructor(
    private readonly url: string,
    private readonly token: string,
    private readonly models: readonly string[],
  ) {}

  /**
   * Connects, and loads the models of the function.
   *
   * @returns undefined where the function has no pool.
   * @throws AxleError for what the pool refuses: the token, a model that it does not have.
   */
  static async open({ pool, models }: InstanceSetup): Promise<PoolConnection | undefined> {
    if (pool === undefined) return undefined;
    const connection = new PoolConnection(pool.url, pool.token, models);
    await connection.begin();
    return connection;
  }

  /** @throws AxleError UNAVAILABLE while the pool does not answer. */
  get client(): Client {
    if (this.connected !== undefined) return this.connected;
    throw new AxleError('UNAVAILABLE', `the pool does not answer: ${this.trouble.message}`, {
      cause: this.trouble,
    });
  }

  private async begin(): Promise<void> {
    let late: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      late = setTimeout(resolve, patienceMs);
    });
    const first = this.connect();
    // Where it takes longer, it goes on behind what waited for it.
    const settled = first.catch((error: unknown) => {
      this.later(error);
    });
    try {
      await Promise.race([first, patience]);
    } catch (error) {
      if (!isAway(error)) throw error;
      await settled;
    } finally {
      clearTimeout(late);
    }
  }

  private async connect(): Promise<void> {
    const { connect } = await import('axle');
    const { url, token, models } = this;
    const client = await connect(url, token === '' ? {} : { token });
    try {
      await Promise.all(models.map((model) => client.prefetch(model)));
    } catch (error) {
      await client.close();
      throw error;
    }
    this.connected = client;
  }

  private later(error: unknown): void {
    this.trouble = error as AxleError;
    const { retryMs } = this;
    this.retryMs = Math.min(longestRetryMs, 2 * retryMs);
    setTimeout(() => {
      this.connect().catch((again: unknown) => {
        this.later(again);
      });
    }, retryMs).unref();
  }
}

function isAway(error: unknown): boolean {
  return error instanceof AxleError && error.retryable;
}
