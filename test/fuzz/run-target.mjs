import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { ROOT } from '../../scripts/repository.mjs';
import { InputSlot } from './input-slot.mjs';

/** @import { FuzzProgress } from './fuzz-loop.mjs' */

/** One input may take this long, milliseconds; the largest takes a few. */
const HANG_MS = 10_000;

/** JavaScript memory of a target, MiB. */
const HEAP_MIB_MAX = 1024;

/** Not in git. */
const CRASH_FOLDER = join(ROOT, 'build/fuzz');

/**
 * How a run ended: with what it did, or with what it found and where that input was saved.
 *
 * @typedef {{ progress: FuzzProgress } | { problem: string, input: Buffer }} Outcome
 */

/**
 * @param {string} targetUrl of a module that exports `target`
 * @param {{ seed: number, seconds: number } | { replay: Uint8Array }} how
 * @param {number} [hangMs] that one input may take
 * @returns {Promise<Outcome>}
 */
export function runTarget(targetUrl, how, hangMs = HANG_MS) {
  const shared = new SharedArrayBuffer(InputSlot.bytes);
  const slot = new InputSlot(shared);
  const worker = new Worker(new URL('./worker.mjs', import.meta.url), {
    workerData: { targetUrl, shared, ...how },
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX },
  });
  return new Promise((resolve) => {
    let ended = false;
    /** The first reason counts: whatever comes after it is the end of the thread. @param {Outcome} outcome */
    const end = (outcome) => {
      if (ended) return;
      ended = true;
      clearInterval(watchdog);
      void worker.terminate().then(() => resolve(outcome));
    };
    /** @param {string} problem */
    const found = (problem) => end({ problem, input: slot.read() });
    let last = -1;
    const watchdog = setInterval(() => {
      const now = slot.count;
      if (now === last && now > 0) found(`it took more than ${hangMs} ms`);
      last = now;
    }, hangMs);
    worker.on('message', ({ done, found: problem }) => {
      if (done === undefined) found(problem);
      else end({ progress: done });
    });
    // Out of memory, for one.
    worker.on('error', (error) => found(String(error)));
    worker.on('exit', (code) => found(`its thread ended with ${code}`));
  });
}

/**
 * @param {string} name
 * @param {Buffer} input
 * @returns {string} the path of the file that holds it now
 */
export function saveCrash(name, input) {
  mkdirSync(CRASH_FOLDER, { recursive: true });
  const hash = createHash('sha256').update(input).digest('hex').slice(0, 12);
  const path = join(CRASH_FOLDER, `${name}-${hash}`);
  writeFileSync(path, input);
  return path;
}
