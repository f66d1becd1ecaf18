import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ROOT } from '../repository.mjs';

const SAMPLES = 'axle/models/samples';
/** A real file of some size that every checkout has. */
const FILE_TO_COMPRESS = 'package-lock.json';

/**
 * @typedef {object} Report what a function says of its call to the pool
 * @property {string} device
 * @property {{ queue: number, transfer: number, compute: number, total: number }} timingMs
 */

/**
 * @typedef {object} DemoCall
 * @property {string} name of the function
 * @property {(gateway: string, signal: AbortSignal) => Promise<string[][]>} run rows of the table
 */

/** @returns {readonly DemoCall[]} */
export function demoCalls() {
  const images = sampleImages();
  return [
    {
      name: 'classify-image',
      run: (gateway, signal) =>
        each(images, (path) => call(gateway, 'classify-image', path, firstLabel, signal)),
    },
    {
      name: 'compress-log',
      run: (gateway, signal) =>
        each([FILE_TO_COMPRESS], (path) => call(gateway, 'compress-log', path, ratio, signal)),
    },
    {
      name: 'thumbnail-and-tag',
      run: (gateway, signal) =>
        each(images.slice(0, 1), (path) =>
          call(gateway, 'thumbnail-and-tag', path, thumbnail, signal),
        ),
    },
    {
      name: 'infer-json',
      run: async (gateway, signal) => {
        const inputs = { image: { shape: [1, 1, 32, 32], data: letterL().flat() } };
        const body = Buffer.from(JSON.stringify({ inputs }));
        return [await post(gateway, 'infer-json', 'an L, as numbers', body, bestLabel, signal)];
      },
    },
  ];
}

/**
 * @param {readonly string[]} paths
 * @param {(path: string) => Promise<string[]>} run
 */
async function each(paths, run) {
  const rows = [];
  for (const path of paths) rows.push(await run(path));
  return rows;
}

/**
 * @param {string} gateway
 * @param {string} name
 * @param {string} path
 * @param {(answer: Buffer, input: Buffer) => string} shown
 * @param {AbortSignal} signal
 */
function call(gateway, name, path, shown, signal) {
  return post(gateway, name, basename(path), readFileSync(join(ROOT, path)), shown, signal);
}

/**
 * @param {string} gateway
 * @param {string} name
 * @param {string} input
 * @param {Buffer} body
 * @param {(answer: Buffer, input: Buffer) => string} shown
 * @param {AbortSignal} signal
 */
async function post(gateway, name, input, body, shown, signal) {
  const response = await fetch(`${gateway}/function/${name}`, { method: 'POST', body, signal });
  const answer = Buffer.from(await response.arrayBuffer());
  if (!response.ok) throw new Error(`${name} answered ${response.status}: ${String(answer)}`);
  const report = response.headers.get('x-axle-report') ?? '{}';
  const { device, timingMs } = /** @type {Report} */ (JSON.parse(report));
  const times = [timingMs.queue, timingMs.transfer, timingMs.compute, timingMs.total];
  return [name, input, shown(answer, body), device, ...times.map((ms) => `${ms.toFixed(2)} ms`)];
}

/** @param {Buffer} answer */
function firstLabel(answer) {
  const { labels } = /** @type {{ labels: { label: string, score: number }[] }} */ (
    JSON.parse(String(answer))
  );
  const [{ label, score } = { label: '-', score: 0 }] = labels;
  return `${label} ${(100 * score).toFixed(1)} %`;
}

/** @param {Buffer} answer @param {Buffer} input */
function ratio(answer, input) {
  if (!gunzipSync(answer).equals(input)) throw new Error('compress-log gave another file back');
  return `${input.byteLength} -> ${answer.byteLength} bytes, the same when unpacked`;
}

/** @param {Buffer} answer */
function thumbnail(answer) {
  const { thumbnail: url } = /** @type {{ thumbnail: string }} */ (JSON.parse(String(answer)));
  const bytes = Buffer.from(url.slice(url.indexOf(',') + 1), 'base64').byteLength;
  return `${firstLabel(answer)}, a PNG of ${bytes} bytes`;
}

/** @param {Buffer} answer */
function bestLabel(answer) {
  const { outputs } = /** @type {{ outputs: { scores: { data: number[] } } }} */ (
    JSON.parse(String(answer))
  );
  const { data } = outputs.scores;
  const best = data.indexOf(Math.max(...data));
  const labels = readFileSync(join(ROOT, 'axle/models/mlp/labels.txt'), 'utf8').split('\n');
  return `${labels[best]} ${(100 * (data[best] ?? 0)).toFixed(1)} %`;
}

/** @returns {string[]} */
function sampleImages() {
  return readdirSync(join(ROOT, SAMPLES))
    .filter((name) => /\.(png|jpe?g|webp)$/.test(name))
    .sort()
    .map((name) => `${SAMPLES}/${name}`);
}

/** @returns {number[][]} dark on light, with mean 0 and deviation 1 as the model was trained */
function letterL() {
  const side = 32;
  const isInk = (/** @type {number} */ x, /** @type {number} */ y) =>
    y > 3 && y < 28 && x > 8 && (x < 13 || (x < 24 && y > 23));
  const rows = Array.from({ length: side }, (_, y) =>
    Array.from({ length: side }, (_, x) => (isInk(x, y) ? 0 : 1)),
  );
  const light = rows.flat().filter((pixel) => pixel === 1).length / side ** 2;
  const deviation = Math.sqrt(light * (1 - light));
  return rows.map((row) => row.map((pixel) => (pixel - light) / deviation));
}
