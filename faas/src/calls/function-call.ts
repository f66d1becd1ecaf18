import type { Readable } from 'node:stream';

/** Names in lower case; a name that comes more than once has its values in a list. */
export type Headers = Readonly<Record<string, string | readonly string[]>>;

/** One call of a function, whichever door it came through. */
export interface FunctionCall {
  /** Stable: the same for each attempt at the same call. */
  readonly id: string;
  readonly functionName: string;
  readonly method: string;
  /** Below the function, from '/'. */
  readonly path: string;
  /** Without '?'. */
  readonly query: string;
  readonly headers: Headers;
  readonly body: AsyncIterable<Uint8Array>;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** What an instance answered. */
export interface FunctionAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** To be read, or destroyed: the instance holds a call until then. Errors are AxleErrors. */
  readonly body: Readable;
  /** Which instance. */
  readonly instance: string;
  /** From acceptance until an instance had the call, milliseconds. */
  readonly queueMs: number;
  /** The instance was started for it. */
  readonly isColdStart: boolean;
}

/** Answers calls: all that a door knows of instances. */
export interface Calls {
  /**
   * Settles with the head of the answer.
   *
   * @throws AxleError NOT_FOUND without such a function; RESOURCE_EXHAUSTED when its queue is full (HTTP 429);
   * DEADLINE_EXCEEDED past the function's time; UNAVAILABLE when the instance ended under it (retryable: it may have run);
   * INTERNAL when the function failed; the reason of `signal`.
   */
  invoke(call: FunctionCall): Promise<FunctionAnswer>;
}
