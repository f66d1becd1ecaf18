import { readdirSync } from 'node:fs';

/** Windows of rounds of work: caches and pools fill up in the first; what is lost grows in every one after it. */
const windows = 3;
/** The first one warms up. */
export const windowsInAll = windows + 1;
const roundsPerWindowPlain = 20;
/** In every window. A driver may open a few now and then. */
const [descriptorsMax, threadsMax] = [16, 16];
/** Since the start, at any time: a machine is not to be filled up to prove a leak. */
const runaway: Held = { bytes: 1024 ** 3, descriptors: 512, threads: 512 };

interface Held {
  readonly bytes: number;
  readonly descriptors: number;
  readonly threads: number;
}

export interface RepeatedWork {
  /** One round. */
  readonly work: () => Promise<unknown>;
  /** Of what a round has several, for the message: 'tasks'. */
  readonly what: string;
  readonly perRound: number;
  /** What a round may leave behind in the long run. */
  readonly bytesPerRoundMax: number;
  /** Rounds of each window; default 20. */
  readonly roundsPerWindow?: number;
}

/**
 * Says what rounds of work leave behind for good; undefined = nothing to speak of.
 *
 * A process holds memory for a while for reasons of its own, so only what grows in every window counts.
 */
export async function leftBehind(job: RepeatedWork): Promise<string | undefined> {
  const { work, what, perRound, bytesPerRoundMax } = job;
  const { roundsPerWindow = roundsPerWindowPlain } = job;
  const start = held();
  let before = start;
  let least: Held = { bytes: Infinity, descriptors: Infinity, threads: Infinity };
  for (let window = 0; window <= windows; window++) {
    for (let round = 1; round <= roundsPerWindow; round++) {
      await work();
      const count = (window * roundsPerWindow + round) * perRound;
      const problem = runawayProblem(start, `${count} ${what}`);
      if (problem !== undefined) return problem;
    }
    globalThis.gc?.();
    const after = held();
    if (window > 0) least = lesser(least, grown(after, before));
    before = after;
  }
  const most: Held = {
    bytes: bytesPerRoundMax * roundsPerWindow,
    descriptors: descriptorsMax,
    threads: threadsMax,
  };
  return excess(least, most, `${perRound * roundsPerWindow} ${what}`);
}

function runawayProblem(start: Held, of: string): string | undefined {
  try {
    return excess(grown(held(), start), runaway, of);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error;
    return `${of} leave so many file descriptors open that the process can open no more`;
  }
}

function held(): Held {
  // Resident memory that is not JavaScript's.
  const { rss, heapTotal, external } = process.memoryUsage();
  return {
    bytes: rss - heapTotal - external,
    descriptors: entries('/proc/self/fd'),
    threads: entries('/proc/self/task'),
  };
}

function entries(folder: string): number {
  return readdirSync(folder).length;
}

function grown(now: Held, before: Held): Held {
  return {
    bytes: now.bytes - before.bytes,
    descriptors: now.descriptors - before.descriptors,
    threads: now.threads - before.threads,
  };
}

function lesser(a: Held, b: Held): Held {
  return {
    bytes: Math.min(a.bytes, b.bytes),
    descriptors: Math.min(a.descriptors, b.descriptors),
    threads: Math.min(a.threads, b.threads),
  };
}

function excess({ bytes, descriptors, threads }: Held, most: Held, of: string): string | undefined {
  // Each of them takes memory too.
  if (threads > most.threads) return `${of} leave ${threads} threads behind`;
  if (descriptors > most.descriptors) return `${of} leave ${descriptors} file descriptors open`;
  if (bytes > most.bytes) return `${of} leave ${(bytes / 1e6).toFixed(1)} MB behind`;
  return undefined;
}
