import type { LoadClock } from './clock.js';

/** One request of a load. Times are those of its clock. */
export interface LoadRequest {
  /** From 0. */
  readonly index: number;
  /** When it was to start. Latency counts from here, so that what delays the next request counts as theirs, too. */
  readonly dueAt: number;
  /** When it did start. */
  readonly sentAt: number;
}

/** Makes one request; resolves with what there is to say of its answer. */
export type Send<R> = (request: LoadRequest) => Promise<R>;

/** What becomes of requests. What a method throws ends the load. */
export interface LoadObserver<R> {
  sent?(request: LoadRequest): void;
  succeeded(request: LoadRequest, endedAt: number, result: R): void;
  failed(request: LoadRequest, endedAt: number, error: unknown): void;
  /** It was due when as many as may be were outstanding. Only of an open loop. */
  notSent?(dueAt: number): void;
}

/** When no more requests are made: whatever comes first. */
export interface LoadEnd {
  readonly signal?: AbortSignal;
  /** So many were made or, in an open loop, due. */
  readonly requests?: number;
  /** A time of the clock. */
  readonly atMs?: number;
}

export interface LoadOptions<R> {
  readonly clock: LoadClock;
  readonly send: Send<R>;
  readonly observer: LoadObserver<R>;
  readonly end: LoadEnd;
}
