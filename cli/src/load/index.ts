// The load generator, for `axle perf` and for the benches of this repository. No promise of stability.
export { constantGaps, poissonGaps, type Gaps } from './arrivals.js';
export { coarseClock, exactClock, type LoadClock } from './clock.js';
export { closedLoop, type ClosedLoopOptions } from './closed-loop.js';
export { LatencyHistogram } from './latency-histogram.js';
export type { LoadEnd, LoadObserver, LoadOptions, LoadRequest, Send } from './load.js';
export { openLoop, type OpenLoopOptions } from './open-loop.js';
export { SeededRandom } from './seeded-random.js';
