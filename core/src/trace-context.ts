/** Where in a trace something happens, as W3C trace context has it. */
export interface TraceContext {
  /** 16 bytes, not all zero. */
  readonly traceId: Uint8Array;
  /** Of the span that it is part of: 8 bytes, not all zero. */
  readonly parentId: Uint8Array;
  /** Bit 0: the trace is recorded. */
  readonly traceFlags: number;
}

/** Whoever makes spans of calls, and knows which of them is the active one. */
export interface TracePropagator {
  /** Undefined: no span is active. */
  active(): TraceContext | undefined;
  /** Runs `work` as part of a span of another process. */
  continued<T>(from: TraceContext, work: () => T): T;
}

let propagator: TracePropagator | undefined;

/** Undefined: nobody traces any more. */
export function setTracePropagator(next: TracePropagator | undefined): void {
  propagator = next;
}

/** Whether somebody makes spans of calls. */
export function isTraced(): boolean {
  return propagator !== undefined;
}

/** For a task that goes to another process; undefined: nobody traces, or no span is active. */
export function activeTrace(): TraceContext | undefined {
  return propagator?.active();
}

/** Runs `work` as part of the span that it was asked for in, where somebody traces. */
export function continueTrace<T>(from: TraceContext | undefined, work: () => T): T {
  return propagator === undefined || from === undefined ? work() : propagator.continued(from, work);
}
