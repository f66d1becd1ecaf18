import { setImmediate as nextTurn } from 'node:timers/promises';

import { Coverage } from './coverage.mjs';
import { mutate } from './mutate.mjs';
import { Random } from './random.mjs';

/**
 * A parser of bytes that come from outside, and what must hold for any of them.
 *
 * @typedef {object} FuzzTarget
 * @property {string} about in one line: what is fed
 * @property {(bytes: Buffer) => void} run throws when a property does not hold
 * @property {() => readonly (string | Uint8Array)[]} seeds well-formed inputs, made by code
 * @property {readonly (string | Uint8Array)[]} [dictionary] what the format is made of
 * @property {number} [bytesMax] of one input; default 4096
 */

/**
 * @typedef {object} FuzzProgress
 * @property {number} runs
 * @property {number} corpus inputs that reached something new
 * @property {number} reached characters of code that ran
 */

const DEFAULT_BYTES_MAX = 4096;

/** To look at what ran takes as long as dozens of runs, so it is done once for so many. */
const BATCH = 64;

/** Mutates what reached new code, from the seeds on: one worker's life. */
export class FuzzLoop {
  /**
   * @param {FuzzTarget} target
   * @param {{ seed: number, onInput: (bytes: Buffer) => void }} options `onInput` is told of each input before it runs
   */
  constructor(target, { seed, onInput }) {
    this.target = target;
    this.onInput = onInput;
    this.random = new Random(seed);
    this.bytesMax = target.bytesMax ?? DEFAULT_BYTES_MAX;
    this.dictionary = (target.dictionary ?? []).map((token) => Buffer.from(token));
    // The seeds are made by other code of ours, which is not what is looked at.
    /** @type {Buffer[]} */
    this.corpus = [Buffer.alloc(0), ...target.seeds().map((bytes) => Buffer.from(bytes))];
    this.coverage = new Coverage(
      (url) => url.includes('/dist/') && !url.includes('/node_modules/'),
    );
    this.coverage.take();
    /** @type {FuzzProgress} */
    this.progress = { runs: 0, corpus: 0, reached: 0 };
  }

  /** Runs until `isOver` says so, which is asked between batches. @param {(progress: FuzzProgress) => boolean} isOver */
  async run(isOver) {
    const seeds = this.corpus;
    this.corpus = [Buffer.alloc(0)];
    for (const input of seeds) this.tryAlone(input);
    while (!isOver(this.report())) {
      this.tryBatch();
      // What a target left for later is done before more of it is made.
      await nextTurn();
    }
    this.coverage.close();
    return this.report();
  }

  /** @returns {FuzzProgress} */
  report() {
    return { ...this.progress, corpus: this.corpus.length, reached: this.coverage.reached };
  }

  tryBatch() {
    const { corpus, dictionary, bytesMax, random } = this;
    const inputs = Array.from({ length: BATCH }, () =>
      mutate(random.pick(corpus), { corpus, dictionary, bytesMax, random }),
    );
    for (const input of inputs) this.execute(input);
    const taken = this.coverage.take();
    if (!this.coverage.hasNew(taken)) return;
    for (const input of inputs) this.tryAlone(input);
    // What runs only once in a process, such as the making of a table, is nothing that an input can be kept for.
    this.coverage.keep(taken);
  }

  /** @param {Buffer} input */
  tryAlone(input) {
    this.execute(input);
    if (this.coverage.keep(this.coverage.take())) this.corpus.push(input);
  }

  /** @param {Buffer} input */
  execute(input) {
    this.progress.runs += 1;
    this.onInput(input);
    this.target.run(input);
  }
}
