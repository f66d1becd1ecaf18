import { cpus } from 'node:os';

import { coarseClock, openLoop, poissonGaps, SeededRandom } from '@axle/cli/load';

/**
 * Latencies, milliseconds, of requests that come at random times, from when each was due.
 *
 * @param {object} load
 * @param {number} load.perSecond
 * @param {number} load.forMs
 * @param {number} load.seed
 * @param {(index: number) => Promise<unknown>} load.send
 */
export async function latenciesOf({ perSecond, forMs, seed, send }) {
  const clock = coarseClock;
  /** @type {number[]} */
  const latencies = [];
  await openLoop({
    clock,
    gaps: poissonGaps(perSecond, new SeededRandom(seed)),
    outstandingMax: Infinity,
    send: ({ index }) => send(index),
    observer: {
      succeeded: ({ dueAt }, endedAt) => {
        latencies.push(endedAt - dueAt);
      },
      failed: (_request, _endedAt, error) => {
        throw error;
      },
    },
    end: { atMs: clock.now() + forMs },
  });
  return latencies;
}

/**
 * Callers, each of whom calls again when it is answered, until `isOver`. @returns calls that were answered before that
 *
 * @param {number} callers
 * @param {() => boolean} isOver
 * @param {() => Promise<unknown>} call
 */
export async function closedLoop(callers, isOver, call) {
  let answered = 0;
  const caller = async () => {
    while (!isOver()) {
      await call();
      if (!isOver()) answered += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return answered;
}

/** @param {readonly number[]} values @param {number} share */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

/** @param {number} forMs */
export function over(forMs) {
  const endAt = performance.now() + forMs;
  return () => performance.now() >= endAt;
}

/** A row whose machine was busier than this says nothing of a pool. */
export const cpuMax = 0.8;

/** How busy the whole machine is from now on. */
export class CpuWatch {
  #before = spent();

  /** From 0 to 1. */
  get busy() {
    const now = spent();
    const all = now.all - this.#before.all;
    return all === 0 ? 0 : 1 - (now.idle - this.#before.idle) / all;
  }
}

function spent() {
  let all = 0;
  let idle = 0;
  for (const { times } of cpus()) {
    for (const ms of Object.values(times)) all += ms;
    idle += times.idle;
  }
  return { all, idle };
}
