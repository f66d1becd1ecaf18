import type { UiFunction, UiState } from '../../src/doors/ui/ui-state.js';

/** Over which rates are told: short enough to be live, long enough to be read. */
const windowMs = 10_000;

/** A function, and what happened to it of late. */
export interface FunctionRates extends UiFunction {
  readonly callsPerSecond: number;
  /** Mean; null: no call ended of late. */
  readonly latencyMs: number | null;
}

/** Makes rates of counters. */
export class Rates {
  private states: readonly UiState[] = [];

  /** @param state the newest */
  add(state: UiState): readonly FunctionRates[] {
    const [last] = this.states.slice(-1);
    // Counters that fall are of a front end that was started again.
    const restarted = last !== undefined && state.atMs < last.atMs;
    const kept = restarted ? [] : this.states.filter(({ atMs }) => state.atMs - atMs <= windowMs);
    this.states = [...kept, state];
    const [first = state] = this.states;
    const seconds = (state.atMs - first.atMs) / 1000;
    return state.functions.map((now) => {
      const then = first.functions.find(({ name }) => name === now.name) ?? now;
      const ended = now.ended - then.ended;
      return {
        ...now,
        callsPerSecond: seconds === 0 ? 0 : Math.max(0, now.calls - then.calls) / seconds,
        latencyMs: ended <= 0 ? null : ((now.seconds - then.seconds) * 1000) / ended,
      };
    });
  }
}
