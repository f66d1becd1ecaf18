// Images per second of the whole chain beside the loop that everyone writes first, and what a long model does to the
// event loop.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';

import { connect, shippedModels, Tensor } from 'axle';
import ort from 'onnxruntime-node';
import { Piscina } from 'piscina';
import sharp from 'sharp';

import { openPlainClassifier } from './plain-classifier.mjs';
import { compare, median, row } from './row.mjs';
import { slowModel } from './slow-model.mjs';

const IMAGES = 400;
const ROUNDS = 5;
const SIDES = [128, 256, 384, 512];
/** Longest delay of the event loop that a function author should see, milliseconds. */
const LOOP_DELAY_MS = 5;
const DELAY_ROUNDS = 11;

/**
 * @param {(line: string) => void} progress
 * @returns {Promise<import('./row.mjs').Row[]>}
 */
export async function benchClassify(progress) {
  const folder = await mkdtemp(join(tmpdir(), 'axle-bench-'));
  try {
    progress(`making ${IMAGES} images of ${SIDES.join(', ')} px`);
    const images = await makeImages(folder);
    return [
      ...(await throughput(images, progress)),
      await pool(images, progress),
      await eventLoopDelay(progress),
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Half JPEG, half PNG, from the shipped samples. @param {string} folder */
async function makeImages(folder) {
  const samples = join(shippedModels, 'samples');
  const names = (await readdir(samples)).filter((name) => /\.(png|jpe?g)$/.test(name)).sort();
  return Promise.all(
    Array.from({ length: IMAGES }, async (_, i) => {
      const side = SIDES[i % SIDES.length] ?? 256;
      const image = sharp(join(samples, names[i % names.length] ?? '')).resize(side, side, {
        fit: 'fill',
      });
      const path = join(folder, `${i}.${i % 2 === 0 ? 'jpg' : 'png'}`);
      await (i % 2 === 0 ? image.jpeg({ quality: 85 }) : image.png()).toFile(path);
      return path;
    }),
  );
}

/**
 * @param {readonly string[]} images
 * @param {(line: string) => void} progress
 */
async function throughput(images, progress) {
  const cores = availableParallelism();
  const client = await connect();
  const classify = await openPlainClassifier();
  const workers = await openWorkers(cores);
  const common = {
    bench: 'classify',
    unit: 'images/s',
    rounds: ROUNDS,
    better: /** @type {const} */ ('higher'),
  };
  const run = () => imagesPerSecond(images, () => client.classify(images));
  progress('beside the plain loop');
  const loop = await compare({
    ...common,
    case: `${images.length} images`,
    peer: 'loop: await sharp, then onnxruntime-node',
    goal: 1.5,
    run,
    runPeer: () =>
      imagesPerSecond(images, async () => {
        for (const image of images) await classify(image);
      }),
  });
  progress(`beside the loop on ${cores} workers`);
  const spread = await compare({
    ...common,
    case: `${images.length} images, ${cores} cores`,
    peer: `the same loop in ${cores} worker threads`,
    goal: 1,
    run,
    runPeer: () => imagesPerSecond(images, () => workers.classify(images)),
  });
  await workers.close();
  await client.close();
  return [loop, spread];
}

/** Whether decoding in a pool of worker threads would gain over libvips' own threads. */
/**
 * @param {readonly string[]} images
 * @param {(line: string) => void} progress
 */
async function pool(images, progress) {
  progress('decoding with and without piscina');
  const piscina = new Piscina({
    filename: new URL('decode-worker.mjs', import.meta.url).href,
    maxThreads: availableParallelism(),
    minThreads: availableParallelism(),
  });
  const { decode } = await import('./decode-worker.mjs');
  const result = await compare({
    bench: 'classify',
    case: 'decode and resize by sharp, on the main thread',
    unit: 'images/s',
    peer: 'the same in piscina',
    goal: null,
    rounds: ROUNDS,
    better: 'higher',
    run: () => imagesPerSecond(images, () => Promise.all(images.map(decode))),
    runPeer: () =>
      imagesPerSecond(images, () => Promise.all(images.map((path) => piscina.run(path)))),
  });
  await piscina.destroy();
  return result;
}

/**
 * @param {readonly string[]} images
 * @param {() => Promise<unknown>} work
 */
async function imagesPerSecond(images, work) {
  const start = performance.now();
  await work();
  return (images.length / (performance.now() - start)) * 1000;
}

/** @param {number} count */
async function openWorkers(count) {
  const workers = Array.from(
    { length: count },
    () => new Worker(new URL('plain-classifier-worker.mjs', import.meta.url)),
  );
  /** @param {Worker} worker */
  const answer = (worker) =>
    new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  await Promise.all(workers.map(answer));
  return {
    /** @param {readonly string[]} images */
    classify: (images) =>
      Promise.all(
        workers.map((worker, i) => {
          worker.postMessage(images.filter((_, j) => j % count === i));
          return answer(worker);
        }),
      ),
    close: () => Promise.all(workers.map((worker) => worker.terminate())),
  };
}

/**
 * p99 of the event loop's delay while a model runs that takes some 300 ms, ours beside onnxruntime-node's.
 *
 * @param {(line: string) => void} progress
 */
async function eventLoopDelay(progress) {
  progress('event-loop delay while a long model runs');
  const folder = await mkdtemp(join(tmpdir(), 'axle-bench-'));
  try {
    const { path, shape, runMs } = await slowModel(folder, 300);
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(0.5);
    const client = await connect();
    const input = { x: Tensor.from('FP32', data, shape) };
    const session = await ort.InferenceSession.create(path);
    const feeds = { x: new ort.Tensor('float32', data, [...shape]) };
    const works = [
      () => client.infer(path, input),
      () => session.run(feeds),
      () => new Promise((resolve) => setTimeout(resolve, runMs)),
    ];
    for (const work of works) await work();
    const [ours, theirs, idle] = await delaysDuring(works);
    await client.close();
    return row({
      bench: 'classify',
      case: `event-loop delay p99 during a ${runMs.toFixed(0)} ms model (goal: under ${LOOP_DELAY_MS} ms)`,
      unit: 'ms',
      value: ours,
      peer: `bound; onnxruntime-node gave ${theirs.toFixed(0)}, a loop with nothing to do ${idle.toFixed(1)}`,
      peerValue: LOOP_DELAY_MS,
      ratio: LOOP_DELAY_MS / ours,
      goal: 1,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/**
 * p99 of the event loop's delay during each kind of work, milliseconds: the median over rounds in which the kinds
 * take turns, because a hypervisor that takes the processor away delays a loop with nothing to do as well.
 *
 * @param {(() => Promise<unknown>)[]} works
 */
async function delaysDuring(works) {
  /** @type {number[][]} */
  const delays = works.map(() => []);
  for (let round = 0; round < DELAY_ROUNDS; round++) {
    for (const [i, work] of works.entries()) delays[i]?.push(await delayDuring(work));
  }
  return delays.map(median);
}

/**
 * @param {() => Promise<unknown>} work
 */
async function delayDuring(work) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await new Promise((resolve) => setTimeout(resolve, 50));
  delay.reset();
  for (let i = 0; i < 3; i++) await work();
  await new Promise((resolve) => setTimeout(resolve, 5));
  delay.disable();
  // The histogram counts its own sampling interval of 1 ms.
  return Math.max(delay.percentile(99) / 1e6 - 1, 0.001);
}
