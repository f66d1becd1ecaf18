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
  /**
   * Whole where it is at hand, which is cheaper, or as it comes. Read as fast as the function reads, and not to its end
   * where the function does not: what is left is the door's to take away. It is never destroyed here.
   */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** What an instance answered. */
export interface FunctionAnswer {
  /** 200 to 599. */
  readonly status: number;
  /** Fit for HTTP, without those of a connection and without content-length. */
  readonly headers: Headers;
  /** Whole where it came at once. A stream is to be read, or destroyed: the instance holds the call until then. Errors are AxleErrors. */
  readonly body: Uint8Array | Readable;
  /** Which instance. */
  readonly instance: string;
  /** From acceptance until an instance had the call, milliseconds. */
  readonly queueMs: number;
  /** The call waited for an instance that was started meanwhile. */
  readonly isColdStart: boolean;
}

/** Answers calls: all that a door knows of instances. */
export interface Calls {
  /**
   * Settles with the head of the answer.
   *
   * @throws AxleError NOT_FOUND without such a function; RESOURCE_EXHAUSTED and retryable when its queue is full (HTTP 429);
   * RESOURCE_EXHAUSTED and not retryable when the instance ended over its memory; DEADLINE_EXCEEDED past the function's
   * time; UNAVAILABLE when the instance ended under it (retryable: it may have run); INTERNAL when the function threw,
   * or the code of the AxleError that it threw; FAILED_PRECONDITION when the handler cannot be loaded; the reason of
   * `signal`.
   */
  invoke(call: FunctionCall): Promise<FunctionAnswer>;
}
