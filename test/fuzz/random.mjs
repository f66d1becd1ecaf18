/** The same numbers from the same seed on every machine: mulberry32 (Tommy Ettinger, public domain). */
export class Random {
  /** @param {number} seed a whole number of 32 bits */
  constructor(seed) {
    this.state = seed >>> 0;
  }

  /**
   * @param {number} count
   * @returns {number} a whole number from 0 to count - 1
   */
  below(count) {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % count;
  }

  /**
   * @template T
   * @param {readonly T[]} choices at least one
   * @returns {T}
   */
  pick(choices) {
    return /** @type {T} */ (choices[this.below(choices.length)]);
  }
}
