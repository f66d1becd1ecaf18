import { closedLoop, coarseClock } from '@axle/cli/load';

/**
 * Callers that each wait for a result and call again.
 *
 * @param {number} callers
 * @param {number} forMs
 * @param {() => Promise<unknown>} call the first that fails ends it
 */
export async function callsPerSecond(callers, forMs, call) {
  const clock = coarseClock;
  const startedAt = clock.now();
  let calls = 0;
  await closedLoop({
    clock,
    concurrency: callers,
    send: call,
    observer: {
      succeeded: () => {
        calls += 1;
      },
      failed: (_request, _endedAt, error) => {
        throw error;
      },
    },
    end: { atMs: startedAt + forMs },
  });
  return (calls * 1000) / (clock.now() - startedAt);
}
