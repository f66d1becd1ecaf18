/** Time as a connection sees it. Tests put their own in its place. */
export interface Timers {
  /** Milliseconds since some moment; never goes back, whatever happens to the clock on the wall. */
  now(): number;
  /** @returns what takes it back. */
  after(ms: number, run: () => void): () => void;
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => {
      clearTimeout(timer);
    };
  },
};
