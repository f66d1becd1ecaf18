// node mix-functions.mjs WAY TARGET FOLDER: for each line with a seed, runs functions that come at random times, and prints
// how long each took from its arrival, as JSON. WAY: pipelined sends model and calls in one go, call-by-call awaits each
// answer, local has nothing loaded before.
import '../no-telemetry.mjs';

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { connect } from 'axle';

const CALLS = 16;
const INPUTS = 256;
/** Of each model. */
const FUNCTIONS = 4;
const MEAN_GAP_MS = 120;

const [way = '', target = '', folder = ''] = process.argv.slice(2);
const sizes = readdirSync(folder)
  .filter((name) => name.endsWith('.onnx'))
  .map((name) => name.replace('.onnx', ''));
const inputs = Array.from({ length: CALLS }, (_, call) => ({
  x: Float32Array.from({ length: INPUTS }, (_, i) => Math.sin(i + call)),
}));

// The server has all of them once; a function that runs here starts with a runtime of its own.
for (const size of sizes) await run(size);
console.log('ready');
for await (const line of createInterface(process.stdin)) {
  const random = randomOf(Number(line));
  const order = shuffled(
    sizes.flatMap((size) => Array.from({ length: FUNCTIONS }, () => size)),
    random,
  );
  let arrival = performance.now();
  const running = order.map((size) => {
    // A Poisson process: gaps are exponential.
    arrival -= MEAN_GAP_MS * Math.log(1 - random());
    return runAt(size, arrival);
  });
  console.log(JSON.stringify(await Promise.all(running)));
}

/** @param {string} size @param {number} arrival */
async function runAt(size, arrival) {
  await new Promise((resolve) => setTimeout(resolve, arrival - performance.now()));
  await run(size);
  return { size, ms: performance.now() - arrival };
}

/** One function: its client connects, brings its model, and runs it over all inputs. @param {string} size */
async function run(size) {
  const axle = await connect(target);
  const model = join(folder, `${size}.onnx`);
  try {
    if (way === 'call-by-call') {
      await axle.prefetch(model);
      for (const input of inputs) await axle.infer(model, input);
    } else {
      await Promise.all(inputs.map((input) => axle.infer(model, input)));
    }
  } finally {
    await axle.close();
  }
}

/** @template T @param {T[]} list @param {() => number} random */
function shuffled(list, random) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [/** @type {T} */ (list[j]), /** @type {T} */ (list[i])];
  }
  return list;
}

/** The same numbers for the same seed. @param {number} seed */
function randomOf(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
