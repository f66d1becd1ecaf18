import type { Headers } from '../calls/function-call.js';

/** An answer as its callback gets it. */
export interface KeptAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly durationMs: number;
}

/** Why a call was given up. */
export interface GivenUp {
  /** What failed: the function, or telling its answer. */
  readonly step: 'call' | 'callback';
  readonly reason: string;
  /** ISO 8601. */
  readonly at: string;
}

/** An accepted call as it is on disk; bodies lie beside it. */
export interface QueuedCall {
  readonly id: string;
  readonly functionName: string;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Headers;
  readonly callbackUrl: string | undefined;
  /** ISO 8601. */
  readonly acceptedAt: string;
  /** In vain, of the step that it is at. */
  readonly attempts: number;
  /** There when the function is done, and only its callback is left. */
  readonly answer?: KeptAnswer | undefined;
  /** The answer says that the call failed: it is given up once that was told. */
  readonly failure?: string | undefined;
  readonly givenUp?: GivenUp | undefined;
}
