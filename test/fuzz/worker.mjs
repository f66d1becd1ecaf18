// The thread in which a target runs, so that one that hangs can be ended and its input saved.
import { parentPort, workerData } from 'node:worker_threads';

import { FuzzLoop } from './fuzz-loop.mjs';
import { InputSlot } from './input-slot.mjs';

/** @import { FuzzTarget } from './fuzz-loop.mjs' */

const { targetUrl, shared, seed, seconds, replay } = workerData;
const { target } = /** @type {{ target: FuzzTarget }} */ (await import(targetUrl));
const slot = new InputSlot(shared);
const deadline = performance.now() + seconds * 1000;

try {
  if (replay === undefined) {
    const loop = new FuzzLoop(target, { seed, onInput: (bytes) => slot.write(bytes) });
    parentPort?.postMessage({ done: await loop.run(() => performance.now() >= deadline) });
  } else {
    slot.write(Buffer.from(replay));
    target.run(Buffer.from(replay));
    parentPort?.postMessage({ done: { runs: 1, corpus: 0, reached: 0 } });
  }
} catch (error) {
  parentPort?.postMessage({ found: error instanceof Error ? error.stack : String(error) });
}
