import { SeededRandom } from '@axle/cli/load';

/** The same choices from the same seed on every machine. */
export class Random extends SeededRandom {
  /**
   * @template T
   * @param {readonly T[]} choices at least one
   * @returns {T}
   */
  pick(choices) {
    return /** @type {T} */ (choices[this.below(choices.length)]);
  }
}
