import { LatencyHistogram, type LoadObserver, type LoadRequest } from '../load/index.js';
import { failureReport } from '../failure.js';

/** What an answer says of its making, milliseconds. */
export interface AnswerTiming {
  readonly queueMs: number;
  readonly transferMs: number;
  readonly computeMs: number;
  /** Calls that were computed together, this one included. */
  readonly batchSize: number;
}

/** What a server did, in sums: of a model since it began, or between two moments. */
export interface ServerSums {
  readonly requests: number;
  /** Items: a request with a batch has as many. */
  readonly inferences: number;
  /** Runs on a device. */
  readonly executions: number;
  readonly queueMs: number;
  readonly inputMs: number;
  readonly inferMs: number;
  /** Undefined: the server does not take it apart. */
  readonly outputMs: number | undefined;
}

export interface FailureCount {
  readonly code: string;
  count: number;
  /** Of the first. */
  readonly message: string;
}

/** What became of the requests that ended in one stretch of time. */
export class Tally {
  /** Of those that succeeded, from when they were due. */
  readonly latency = new LatencyHistogram();
  /** How long after it was due a request was sent. */
  readonly lateness = new LatencyHistogram();
  readonly failures = new Map<string, FailureCount>();
  /** Those that were due when as many as may be were outstanding. */
  notSent = 0;
  failed = 0;
  durationMs = 0;
  server: ServerSums | undefined;

  /** @param items of one request */
  constructor(readonly items: number) {}

  get succeeded(): number {
    return this.latency.count;
  }

  get requestsPerSecond(): number {
    return (this.succeeded * 1000) / this.durationMs;
  }

  get inferencesPerSecond(): number {
    return this.requestsPerSecond * this.items;
  }

  ended(timing: AnswerTiming | undefined, latencyMs: number): void {
    this.latency.record(latencyMs);
    if (timing === undefined) return;
    const { queueMs, transferMs, computeMs, batchSize } = timing;
    this.server = sumOf(this.server, {
      requests: 1,
      inferences: this.items,
      executions: 1 / Math.max(1, batchSize),
      queueMs,
      inputMs: transferMs,
      inferMs: computeMs,
      outputMs: undefined,
    });
  }

  failedWith(error: unknown): void {
    this.failed += 1;
    const code = codeOf(error);
    const known = this.failures.get(code);
    if (known !== undefined) known.count += 1;
    else this.failures.set(code, { code, count: 1, message: failureReport(error).message });
  }

  add(other: Tally): void {
    this.latency.add(other.latency);
    this.lateness.add(other.lateness);
    this.notSent += other.notSent;
    this.failed += other.failed;
    this.durationMs += other.durationMs;
    if (other.server !== undefined) this.server = sumOf(this.server, other.server);
    for (const { code, count, message } of other.failures.values()) {
      const known = this.failures.get(code);
      if (known !== undefined) known.count += count;
      else this.failures.set(code, { code, count, message });
    }
  }
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'UNKNOWN';
}

function sumOf(sums: ServerSums | undefined, more: ServerSums): ServerSums {
  if (sums === undefined) return more;
  return combined(sums, more, (a, b) => a + b);
}

/** What was added between two looks at sums that only grow. */
export function grownBy(before: ServerSums, after: ServerSums): ServerSums {
  return combined(after, before, (a, b) => Math.max(0, a - b));
}

function combined(
  one: ServerSums,
  other: ServerSums,
  of: (a: number, b: number) => number,
): ServerSums {
  return {
    requests: of(one.requests, other.requests),
    inferences: of(one.inferences, other.inferences),
    executions: of(one.executions, other.executions),
    queueMs: of(one.queueMs, other.queueMs),
    inputMs: of(one.inputMs, other.inputMs),
    inferMs: of(one.inferMs, other.inferMs),
    outputMs:
      one.outputMs === undefined || other.outputMs === undefined
        ? undefined
        : of(one.outputMs, other.outputMs),
  };
}

/** Puts each request into the tally of the time in which it ended. */
export class Tallying implements LoadObserver<AnswerTiming | undefined> {
  /** Undefined: nobody counts now. */
  tally: Tally | undefined;
  outstanding = 0;

  /** @param onEnd told of each that ended, whoever counts */
  constructor(private readonly onEnd: () => void) {}

  sent({ dueAt, sentAt }: LoadRequest): void {
    this.outstanding += 1;
    this.tally?.lateness.record(sentAt - dueAt);
  }

  succeeded({ dueAt }: LoadRequest, endedAt: number, timing: AnswerTiming | undefined): void {
    this.outstanding -= 1;
    this.tally?.ended(timing, endedAt - dueAt);
    this.onEnd();
  }

  failed(_request: LoadRequest, _endedAt: number, error: unknown): void {
    this.outstanding -= 1;
    this.tally?.failedWith(error);
    this.onEnd();
  }

  notSent(): void {
    if (this.tally !== undefined) this.tally.notSent += 1;
  }
}
