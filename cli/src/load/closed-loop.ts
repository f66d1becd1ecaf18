import type { LoadOptions } from './load.js';

export interface ClosedLoopOptions<R> extends LoadOptions<R> {
  /** Requests that are outstanding at all times. */
  readonly concurrency: number;
}

/**
 * Callers that each await their answer and ask again, so that a slow server is asked less. Resolves when the last answer is
 * there.
 */
export async function closedLoop<R>(options: ClosedLoopOptions<R>): Promise<void> {
  const { clock, send, observer, end, concurrency } = options;
  const { signal, requests = Infinity, atMs = Infinity } = end;
  let made = 0;
  const caller = async () => {
    for (;;) {
      const now = clock.now();
      if (made >= requests || now >= atMs || signal?.aborted === true) return;
      const request = { index: made, dueAt: now, sentAt: now };
      made += 1;
      observer.sent?.(request);
      let result: R;
      try {
        result = await send(request);
      } catch (error) {
        observer.failed(request, clock.now(), error);
        // One that fails at once would otherwise never let anything else run.
        await clock.turn();
        continue;
      }
      observer.succeeded(request, clock.now(), result);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
}
