// npm run bench -- faas: what a function costs when it is warm, when it is cold, and under a trace.
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { LatencyHistogram, SeededRandom } from '@axle/cli/load';

import { layeredModel } from '../onnx-model.mjs';
import { FrontEnd } from './faas/front-end.mjs';
import { trace } from './faas/trace.mjs';
import { LineProcess } from './remoting/line-process.mjs';
import { compare, median, row } from './row.mjs';

/** @typedef {import('./row.mjs').Row} Row */

const ROUNDS = 5;
const SECONDS = 2;
const WARM_UP_SECONDS = 3;
const IN_FLIGHT = 32;
/** For one cold start to leave nothing to the next. */
const REST_MS = 300;
const EMPTY = 'export default () => undefined;\n';

/** Of the trace. */
const TRACE = { functions: 12, seconds: 20, callsPerSecond: 40 };
const SERVICE_MS = 5;
const SEED = 7;

const cases = { warm: warmRows, cold: coldRows, model: modelRows, trace: traceRows };

/**
 * @param {(line: string) => void} progress
 * @param {string} only
 * @returns {Promise<Row[]>}
 */
export async function benchFaas(progress, only) {
  const rows = [];
  for (const [name, run] of Object.entries(cases)) {
    if (!name.includes(only)) continue;
    progress(name);
    const folder = await mkdtemp(join(tmpdir(), 'axle-bench-'));
    try {
      rows.push(...(await run(folder)));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return rows;
}

/** @param {string} folder */
async function warmRows(folder) {
  const frontEnd = await FrontEnd.start(folder, ['--pool', 'none', '--waiting', '0']);
  const bare = new LineProcess(process.execPath, [pathOf('./faas/bare-http.mjs')]);
  const clients = /** @type {LineProcess[]} */ ([]);
  const client = async (/** @type {string} */ url) => {
    const child = new LineProcess(process.execPath, [pathOf('./faas/load-client.mjs'), url]);
    clients.push(child);
    await child.line();
    return child;
  };
  try {
    await frontEnd.deploy('empty', EMPTY, { concurrency: 256 });
    const peer = await client(await bare.line());
    const ours = await client(`${frontEnd.url}/function/empty`);
    const figures = async (
      /** @type {LineProcess} */ child,
      /** @type {number} */ inFlight,
      /** @type {number} */ seconds,
    ) => (await child.ask(`${inFlight} ${seconds}`)).split(' ').map(Number);
    for (const child of [peer, ours]) await figures(child, IN_FLIGHT, WARM_UP_SECONDS);
    const named = { bench: 'faas', peer: 'bare node:http', rounds: ROUNDS };
    const throughput = await compare({
      ...named,
      case: `warm, empty function, ${IN_FLIGHT} in flight`,
      unit: 'calls/s',
      goal: 0.3,
      better: 'higher',
      run: async () => (await figures(ours, IN_FLIGHT, SECONDS))[0] ?? NaN,
      runPeer: async () => (await figures(peer, IN_FLIGHT, SECONDS))[0] ?? NaN,
    });
    const latency = await compare({
      ...named,
      case: 'warm, empty function, one in flight, p50',
      unit: 'us',
      goal: 1 / 3,
      better: 'lower',
      run: async () => (await figures(ours, 1, SECONDS))[1] ?? NaN,
      runPeer: async () => (await figures(peer, 1, SECONDS))[1] ?? NaN,
    });
    return [throughput, latency];
  } finally {
    for (const child of [...clients, bare]) await child.stop();
    await frontEnd.stop();
  }
}

/** @param {string} folder */
async function coldRows(folder) {
  const plain = await FrontEnd.start(join(folder, 'plain'), ['--pool', 'none', '--waiting', '0']);
  const waited = await FrontEnd.start(join(folder, 'waited'), ['--pool', 'none', '--waiting', '1']);
  try {
    for (const each of [plain, waited]) await each.deploy('empty', EMPTY);
    const cold = (/** @type {FrontEnd} */ frontEnd) => async () => {
      await frontEnd.toZero('empty');
      await wait(REST_MS);
      return frontEnd.call('empty');
    };
    const named = {
      bench: 'faas',
      unit: 'ms',
      rounds: ROUNDS,
      better: /** @type {const} */ ('lower'),
    };
    return [
      await compare({
        ...named,
        case: 'cold start, a new process',
        peer: 'node that runs nothing',
        goal: null,
        run: cold(plain),
        runPeer: () => Promise.resolve(nodeMs()),
      }),
      await compare({
        ...named,
        case: 'cold start, a process that waited',
        peer: 'a new process',
        goal: null,
        run: cold(waited),
        runPeer: cold(plain),
      }),
    ];
  } finally {
    for (const each of [plain, waited]) await each.stop();
  }
}

function nodeMs() {
  const startedAt = performance.now();
  spawnSync(process.execPath, ['-e', '0']);
  return performance.now() - startedAt;
}

/**
 * Each model is loaded once: the pool keeps it then. All are alike, of so many layers that loading takes as long as the boot: where one of the two
 * is far longer than the other, doing both at once gains little.
 *
 * @param {string} folder
 */
async function modelRows(folder) {
  const models = join(folder, 'models');
  await mkdir(models, { recursive: true });
  const frontEnd = await FrontEnd.start(folder, ['--models', models, '--waiting', '0']);
  const made = { count: 0 };
  // Another content each time, or the pool would know it.
  const random = new SeededRandom(SEED);
  const makeModel = async (/** @type {number} */ layers) => {
    const name = `model${made.count++}`;
    await mkdir(join(models, name, '1'), { recursive: true });
    const file = join(models, name, '1', 'model.onnx');
    await writeFile(
      file,
      layeredModel(Array(layers + 1).fill(SIDE), () => random.next()),
      {
        flush: true,
      },
    );
    forget(file);
    return name;
  };
  try {
    // Whatever is first pays for more than its own.
    await frontEnd.deploy('first', EMPTY);
    await frontEnd.call('first');
    await frontEnd.deploy('boot', `${INFER_HEAD}export default () => x.shape;\n`, {}, zeroLabels);
    const bootMs = await measure(() => bootTime(frontEnd));
    const probeMs = await measure(async () => loadTime(frontEnd, await makeModel(PROBE_LAYERS)));
    const layers = Math.max(1, Math.round((PROBE_LAYERS * bootMs) / probeMs));
    const loadMs = await measure(async () => loadTime(frontEnd, await makeModel(layers)));
    await frontEnd.deploy('loader', LOADER);
    await frontEnd.ready('loader');
    const load = async () => frontEnd.call('loader', await makeModel(layers));
    await load();
    const bound = await compare({
      bench: 'faas',
      case: 'such a boot and such a load at once, of two functions: what this machine has room for',
      unit: 'ms',
      peer: 'one after the other',
      goal: null,
      rounds: ROUNDS,
      better: 'lower',
      run: async () => {
        await restAtZero(frontEnd);
        const model = await makeModel(layers);
        const startedAt = performance.now();
        await Promise.all([frontEnd.call('boot'), frontEnd.call('loader', model)]);
        return performance.now() - startedAt;
      },
      runPeer: async () => (await bootTime(frontEnd)) + (await load()),
    });
    const cold = (/** @type {boolean} */ prefetches) => async () => {
      const name = await makeModel(layers);
      const manifest = prefetches ? { models: [name] } : {};
      await frontEnd.deploy(name, inferHandler(name), manifest, zeroLabels);
      await frontEnd.toZero(name);
      await wait(REST_MS);
      return frontEnd.call(name);
    };
    return [
      row({
        bench: 'faas',
        case: `loading of the next row's model, ${layers} layers of ${SIDE} x ${SIDE}`,
        unit: 'ms',
        value: loadMs,
        peer: 'boot of a function that infers',
        peerValue: bootMs,
        ratio: bootMs / loadMs,
        goal: null,
      }),
      bound,
      await compare({
        bench: 'faas',
        case: 'cold function, its model loaded while it boots',
        unit: 'ms',
        peer: 'the same, loaded by its first call',
        goal: 1 / 0.6,
        rounds: ROUNDS,
        better: 'lower',
        run: cold(true),
        runPeer: cold(false),
      }),
    ];
  } finally {
    await frontEnd.stop();
  }
}

const SIDE = 1024;
/** Of the models by which the time that a layer takes to load is found. */
const PROBE_LAYERS = 16;
const PROBES = 3;

/**
 * Takes a file out of the page cache: a model that nobody has used for long is read from the disk.
 *
 * @param {string} file
 */
function forget(file) {
  spawnSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0']);
}

/** @param {() => Promise<number>} figure */
async function measure(figure) {
  const figures = [];
  for (let i = 0; i < PROBES; i++) figures.push(await figure());
  return median(figures);
}

/**
 * Of a cold call of `boot`, which has all that a function that infers has.
 *
 * @param {FrontEnd} frontEnd
 */
async function bootTime(frontEnd) {
  await restAtZero(frontEnd);
  return frontEnd.call('boot');
}

/** @param {FrontEnd} frontEnd */
async function restAtZero(frontEnd) {
  await frontEnd.toZero('boot');
  await wait(REST_MS);
}

/**
 * What the first call of a model takes more than the second, in an instance that runs.
 *
 * @param {FrontEnd} frontEnd
 * @param {string} model
 */
async function loadTime(frontEnd, model) {
  await frontEnd.deploy(model, inferHandler(model));
  await frontEnd.ready(model);
  await wait(REST_MS);
  const first = await frontEnd.call(model);
  return first - (await frontEnd.call(model));
}

const zeroLabels = { 'com.openfaas.scale.zero': 'true', 'com.openfaas.scale.min': '0' };

const INFER_HEAD = `import { Tensor } from 'axle';
const x = Tensor.from('FP32', new Float32Array(${SIDE}), [1, ${SIDE}]);
`;

const LOADER = `export default async (event, { axle }) => {
  await axle.prefetch(await event.text());
  return 'loaded';
};
`;

/** @param {string} model */
function inferHandler(model) {
  const call = `(await axle.infer('${model}', { x })).device`;
  return `${INFER_HEAD}export default async (event, { axle }) => ${call};\n`;
}

/** @param {string} folder */
async function traceRows(folder) {
  const frontEnd = await FrontEnd.start(folder, ['--pool', 'none', '--waiting', '2']);
  try {
    const names = Array.from({ length: TRACE.functions }, (_, i) => `function${i}`);
    const labels = { ...zeroLabels, 'com.openfaas.scale.zero-duration': '1s' };
    const handler = `import { setTimeout as wait } from 'node:timers/promises';
export default () => wait(${SERVICE_MS});
`;
    for (const name of names) await frontEnd.deploy(name, handler, {}, labels);
    const calls = trace({ ...TRACE, random: new SeededRandom(SEED) });
    const latencies = new LatencyHistogram();
    const startedAt = performance.now();
    await Promise.all(
      calls.map(async ({ atMs, index }) => {
        await wait(Math.max(0, atMs - (performance.now() - startedAt)));
        await frontEnd.call(names[index] ?? '');
        // From when it was due: what is late by the fault of others counts.
        latencies.record(performance.now() - startedAt - atMs);
      }),
    );
    const state = /** @type {{ functions: { calls: number, coldStarts: number }[] }} */ (
      await frontEnd.ask('GET', '/ui/state')
    );
    const coldStarts = state.functions.reduce((sum, each) => sum + each.coldStarts, 0);
    const figure = (
      /** @type {string} */ name,
      /** @type {string} */ unit,
      /** @type {number} */ value,
      /** @type {number} */ peerValue,
    ) =>
      row({
        bench: 'faas',
        case: `trace of ${calls.length} calls, ${name}`,
        unit,
        value,
        peer: unit === 'ms' ? 'what the function takes' : 'all calls',
        peerValue,
        ratio: peerValue / value,
        goal: null,
      });
    return [
      figure('p50', 'ms', latencies.percentile(50), SERVICE_MS),
      figure('p99', 'ms', latencies.percentile(99), SERVICE_MS),
      figure('mean wait', 'ms', latencies.mean - SERVICE_MS, SERVICE_MS),
      figure('waited for a start', 'calls', coldStarts, calls.length),
    ];
  } finally {
    await frontEnd.stop();
  }
}

/** @param {string} relative */
function pathOf(relative) {
  return fileURLToPath(new URL(relative, import.meta.url));
}
