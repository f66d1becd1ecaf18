import inspector from 'node:inspector';

/** @import { Profiler } from 'node:inspector' */

/**
 * Which of our own code ran, as V8 counts it for this thread. V8 tells the ranges of a function in which counts differ,
 * outer ones first; ranges that ran equally often are one, so what is compared is each character of a function.
 */
export class Coverage {
  /** @param {(url: string) => boolean} isOurs whether a script counts */
  constructor(isOurs) {
    this.isOurs = isOurs;
    /** Of each function, by its place, which of its characters ran: 1. @type {Map<string, Uint8Array>} */
    this.seen = new Map();
    /** Characters that ran, of all functions. */
    this.reached = 0;
    this.session = new inspector.Session();
    this.session.connect();
    this.post('Profiler.enable');
    this.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** @returns {Profiler.FunctionCoverage[]} what ran since the last call, by functions */
  take() {
    const { result } = /** @type {Profiler.TakePreciseCoverageReturnType} */ (
      this.post('Profiler.takePreciseCoverage')
    );
    return result
      .filter(({ url }) => this.isOurs(url))
      .flatMap(({ scriptId, functions }) =>
        functions.map((each) => ({ ...each, functionName: `${scriptId} ${each.functionName}` })),
      );
  }

  /** @param {readonly Profiler.FunctionCoverage[]} taken @returns {boolean} whether some of it never ran before */
  hasNew(taken) {
    return taken.some((each) => this.compare(each, false));
  }

  /** From now on nothing of it is new. @param {readonly Profiler.FunctionCoverage[]} taken @returns {boolean} as `hasNew` */
  keep(taken) {
    let fresh = false;
    for (const each of taken) fresh = this.compare(each, true) || fresh;
    return fresh;
  }

  close() {
    this.session.disconnect();
  }

  /**
   * @param {Profiler.FunctionCoverage} taken
   * @param {boolean} keep
   * @returns {boolean} whether some of it never ran before
   */
  compare({ functionName, ranges }, keep) {
    const [whole] = ranges;
    if (whole === undefined || whole.count === 0) return false;
    const { startOffset, endOffset } = whole;
    const ran = new Uint8Array(endOffset - startOffset);
    for (const range of ranges) {
      ran.fill(
        range.count > 0 ? 1 : 0,
        range.startOffset - startOffset,
        range.endOffset - startOffset,
      );
    }
    const key = `${functionName} ${startOffset}`;
    const seen = this.seen.get(key) ?? new Uint8Array(ran.length);
    const count = ran.reduce((sum, bit, i) => sum + (bit & ~(seen[i] ?? 0)), 0);
    if (keep && count > 0) {
      this.seen.set(
        key,
        seen.map((bit, i) => bit | (ran[i] ?? 0)),
      );
      this.reached += count;
    }
    return count > 0;
  }

  /**
   * Commands to the own thread are answered before `post` returns.
   *
   * @param {string} method
   * @param {object} [params]
   * @returns {unknown}
   */
  post(method, params) {
    /** @type {unknown} */
    let answer;
    this.session.post(method, params, (error, result) => {
      if (error !== null) throw error;
      answer = result;
    });
    return answer;
  }
}
