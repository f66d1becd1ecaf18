import type { Gaps } from './arrivals.js';
import type { LoadOptions, LoadRequest } from './load.js';

export interface OpenLoopOptions<R> extends LoadOptions<R> {
  readonly gaps: Gaps;
  /** One that is due while so many are outstanding is not sent, and the observer is told. */
  readonly outstandingMax: number;
}

/** Of a generator that is behind, in one turn: answers are to be seen in between. */
const arrivalsPerTurnMax = 1024;

/**
 * Requests that come when they come, whether or not the ones before have been answered: what independent users do. A
 * request that is sent late was due no later for that. Resolves when the last answer is there.
 */
export function openLoop<R>(options: OpenLoopOptions<R>): Promise<void> {
  return new OpenLoop(options).run();
}

class OpenLoop<R> {
  private made = 0;
  private outstanding = 0;
  private dueAt: number;
  private problem: { readonly error: unknown } | undefined;
  private onIdle: (() => void) | undefined;

  constructor(private readonly options: OpenLoopOptions<R>) {
    this.dueAt = options.clock.now() + options.gaps();
  }

  async run(): Promise<void> {
    const { clock, end } = this.options;
    while (!this.isOver) {
      if (this.dueAt <= clock.now()) await clock.turn();
      else await clock.until(this.dueAt, end.signal);
      this.makeThoseDue();
    }
    if (this.outstanding > 0) {
      await new Promise<void>((resolve) => {
        this.onIdle = resolve;
      });
    }
    if (this.problem !== undefined) throw this.problem.error;
  }

  private get isOver(): boolean {
    const { signal, requests = Infinity, atMs = Infinity } = this.options.end;
    return (
      signal?.aborted === true ||
      this.made >= requests ||
      this.dueAt >= atMs ||
      this.problem !== undefined
    );
  }

  private makeThoseDue(): void {
    const now = this.options.clock.now();
    for (let n = 0; n < arrivalsPerTurnMax && this.dueAt <= now && !this.isOver; n += 1) {
      this.guarded(() => {
        this.arrive(this.dueAt);
      });
      this.dueAt += this.options.gaps();
    }
  }

  private arrive(dueAt: number): void {
    const { clock, observer, outstandingMax } = this.options;
    const request = { index: this.made, dueAt, sentAt: clock.now() };
    this.made += 1;
    if (this.outstanding >= outstandingMax) {
      observer.notSent?.(dueAt);
      return;
    }
    observer.sent?.(request);
    this.outstanding += 1;
    void this.make(request);
  }

  private async make(request: LoadRequest): Promise<void> {
    const { clock, send, observer } = this.options;
    try {
      const result = await send(request);
      this.settle(() => {
        observer.succeeded(request, clock.now(), result);
      });
    } catch (error) {
      this.settle(() => {
        observer.failed(request, clock.now(), error);
      });
    }
  }

  private settle(tell: () => void): void {
    this.outstanding -= 1;
    this.guarded(tell);
    if (this.outstanding === 0) this.onIdle?.();
  }

  private guarded(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.problem ??= { error };
    }
  }
}
