// node mix-functions.mjs WAY TARGET FOLDER: for each line with a seed, runs functions that come at random times, and prints
// how long each took from its arrival, as JSON. WAY: pipelined sends model and calls in one go, call-by-call awaits each
// answer, local has nothing loaded before.
import '../no-telemetry.mjs';

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { coarseClock, openLoop, poissonGaps, SeededRandom } from '@axle/cli/load';
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
  console.log(JSON.stringify(await runAll(new SeededRandom(Number(line)))));
}

/** @param {SeededRandom} random */
async function runAll(random) {
  const order = shuffled(
    sizes.flatMap((size) => Array.from({ length: FUNCTIONS }, () => size)),
    random,
  );
  /** @type {{ size: string, ms: number }[]} */
  const runs = [];
  await openLoop({
    clock: coarseClock,
    gaps: poissonGaps(1000 / MEAN_GAP_MS, random),
    outstandingMax: order.length,
    send: ({ index }) => run(order[index] ?? ''),
    observer: {
      succeeded: ({ index, dueAt }, endedAt) => {
        runs.push({ size: order[index] ?? '', ms: endedAt - dueAt });
      },
      failed: (_request, _endedAt, error) => {
        throw error;
      },
    },
    end: { requests: order.length },
  });
  return runs;
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

/** @template T @param {T[]} list @param {SeededRandom} random */
function shuffled(list, random) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [list[i], list[j]] = [/** @type {T} */ (list[j]), /** @type {T} */ (list[i])];
  }
  return list;
}
