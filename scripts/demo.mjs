// Sets up and shows the main jobs on real input: each command line, then what it prints.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isProgram, ROOT } from './repository.mjs';
import { setUpOrExit } from './setup.mjs';

const SAMPLES = 'axle/models/samples';

/** A real file of some size that every checkout has. */
const FILE_TO_COMPRESS = 'package-lock.json';

/**
 * @typedef {object} Step
 * @property {string} title
 * @property {string[]} command
 */

/**
 * @param {string} folder for the files that the demo makes
 * @returns {Step[]}
 */
function steps(folder) {
  const compressed = join(folder, 'compressed.zst');
  const restored = join(folder, 'restored');
  const pixels = join(folder, 'pixels.json');
  writeFileSync(pixels, JSON.stringify([[letterL()]]));
  return [
    { title: 'The devices here', command: axle('devices') },
    { title: 'What is in these pictures?', command: axle('classify', ...sampleImages()) },
    {
      title: 'Compress a file',
      command: axle('compress', FILE_TO_COMPRESS, '-o', compressed),
    },
    {
      title: 'Decompress it with the system tool',
      command: ['zstd', '-d', '-q', '-f', compressed, '-o', restored],
    },
    { title: 'It is the same file', command: ['cmp', FILE_TO_COMPRESS, restored] },
    { title: 'The models here', command: axle('models') },
    {
      title: 'Run one on a tensor, an L of 32 x 32 pixels; L is its label 20',
      command: axle('infer', 'mlp', '--input', `image=${pixels}`),
    },
  ];
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

/**
 * @param {string[]} args
 * @returns {string[]}
 */
function axle(...args) {
  return [process.execPath, 'cli/dist/main.js', ...args];
}

/** @returns {string[]} */
function sampleImages() {
  if (!existsSync(join(ROOT, SAMPLES))) return [];
  return readdirSync(join(ROOT, SAMPLES))
    .filter((name) => /\.(png|jpe?g|webp)$/.test(name))
    .sort()
    .map((name) => `${SAMPLES}/${name}`);
}

/**
 * @param {Step} step
 * @returns {boolean} whether it did what it shows
 */
function show({ title, command }) {
  const [program = '', ...args] = command;
  const shown = program === process.execPath ? ['npx axle', ...args.slice(1)] : command;
  console.log(`\n# ${title}\n$ ${shown.join(' ')}`);
  const { status, error } = spawnSync(program, args, { cwd: ROOT, stdio: 'inherit' });
  if (status === 0) return true;
  console.error(`axle: that failed: ${error?.message ?? `exit code ${status}`}`);
  return false;
}

if (isProgram(import.meta.url)) {
  await setUpOrExit();
  const folder = mkdtempSync(join(tmpdir(), 'axle-demo-'));
  try {
    const failed = steps(folder).filter((step) => !show(step)).length;
    console.log(failed === 0 ? '\naxle: the demo passed' : `\naxle: ${failed} steps failed`);
    process.exitCode = failed === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
