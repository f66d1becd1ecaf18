// The targets in C and C++, plugins/cpu-fallback/fuzz, plugins/cuda/fuzz and unikernel-glue/fuzz: libFuzzer drives them, under ASan and
// UBSan.
import { spawnSync } from 'node:child_process';
import { mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import { ROOT } from '../../scripts/repository.mjs';
import { isOnPath } from '../../scripts/setup/system-packages.mjs';
import { layeredModel, onnxModel } from '../onnx-model.mjs';
import { functionSeeds } from '../wire/function-seeds.mjs';
import { clientSeeds, wireSeeds } from '../wire/seeds.mjs';

/**
 * @typedef {object} NativeTarget
 * @property {string} about
 * @property {string} folder whose CMakeLists.txt builds it, relative to the root
 * @property {() => readonly Uint8Array[]} [seeds] absent: the program seeds_TARGET writes them
 */

const PLUGIN = 'plugins/cpu-fallback';

/** A frame of one stored block, after a skippable one; and blocks: a long match, a long run of literals. */
function lz4Seeds() {
  return [
    '502a4d180300000061626304224d1860408205000080' + '68656c6c6f' + '00000000',
    '04224d18684005000000000000002e',
    '00' + '1f61010000' + '5068656c6c6f',
    '07' + 'f001' + '61'.repeat(16) + '0f1000ff05' + '50' + '62'.repeat(5),
  ].map((hex) => Uint8Array.from(Buffer.from(hex, 'hex')));
}

/** Two networks with about every kind of attribute and weight. */
function onnxSeeds() {
  const data = (/** @type {number} */ count) => new Float32Array(count).fill(0.5);
  return [
    layeredModel([3, 4, 2], () => 0.5),
    onnxModel({
      inputs: [{ name: 'x', shape: ['n', 2, 5, 5] }],
      outputs: [{ name: 'y', shape: ['n', 8] }],
      nodes: [
        ['Conv', ['x', 'w', 'b'], ['c'], { pads: [1, 1, 1, 1], strides: [2, 2], group: 1 }],
        ['LeakyRelu', ['c'], ['r'], { alpha: { float: 0.1 } }],
        ['MaxPool', ['r'], ['p'], { kernel_shape: [2, 2], auto_pad: 'SAME_UPPER' }],
        ['Transpose', ['p'], ['t'], { perm: [0, 2, 3, 1] }],
        ['Concat', ['t', 't'], ['k'], { axis: -1 }],
        ['Softmax', ['k'], ['s'], { axis: 1 }],
        ['Reshape', ['s', 'to'], ['f']],
        ['Gemm', ['f', 'g'], ['y'], { transB: 1, alpha: { float: 2 } }],
      ],
      weights: [
        { name: 'w', shape: [2, 2, 3, 3], data: data(36) },
        { name: 'b', shape: [2], data: data(2) },
        { name: 'to', shape: [2], integers: [0, -1] },
        { name: 'g', shape: [8, 36], data: data(288) },
      ],
    }),
  ];
}

/** By name. @type {ReadonlyMap<string, NativeTarget>} */
export const nativeTargets = new Map([
  ['archives', { about: 'zstd, lz4 and gzip, whole and as streams', folder: PLUGIN }],
  ['bytes-elements', { about: 'BYTES tensors', folder: PLUGIN }],
  ['onnx-scan', { about: 'what ONNX files say of other files', folder: PLUGIN }],
  [
    'cuda-lz4',
    {
      about: 'lz4 frames and blocks, by the kernels of the CUDA plugin on the host',
      folder: 'plugins/cuda',
      seeds: lz4Seeds,
    },
  ],
  [
    'cuda-onnx',
    {
      about: 'ONNX files, as the CUDA plugin reads them and plans their networks',
      folder: 'plugins/cuda',
      seeds: onnxSeeds,
    },
  ],
  [
    'client',
    { about: 'what a server says to the C client', folder: 'unikernel-glue', seeds: clientSeeds },
  ],
  [
    'function',
    {
      ...{ about: 'what a host says to a guest that is a function', folder: 'unikernel-glue' },
      seeds: functionSeeds,
    },
  ],
  ['wire', { about: 'frames of the wire protocol', folder: 'unikernel-glue', seeds: wireSeeds }],
]);

/** One input may take this long, seconds, and this much memory, MiB. */
const HANG_SECONDS = 10;
const MEMORY_MIB_MAX = 2048;

/**
 * @param {string} name
 * @param {number} seconds
 * @param {number} seed
 * @returns {boolean} whether nothing was found
 */
export function runNative(name, seconds, seed) {
  if (!build(name)) return false;
  const seeds = join(buildOf(name), 'seeds', name);
  mkdirSync(seeds, { recursive: true });
  if (!writeSeeds(name, seeds)) return false;
  const crashes = join(ROOT, 'build/fuzz');
  const corpus = join(buildOf(name), 'corpus', name);
  mkdirSync(crashes, { recursive: true });
  // Empty, so that the same seed makes the same inputs.
  rmSync(corpus, { recursive: true, force: true });
  mkdirSync(corpus, { recursive: true });
  console.log(`${name}: seed ${seed}, ${seconds} s`);
  const ok = run(program('fuzz', name), [
    // To libFuzzer 0 stands for a seed of its own choice.
    `-seed=${seed + 1}`,
    `-max_total_time=${seconds}`,
    `-timeout=${HANG_SECONDS}`,
    `-rss_limit_mb=${MEMORY_MIB_MAX}`,
    `-artifact_prefix=${crashes}/${name}-`,
    '-print_final_stats=1',
    corpus,
    seeds,
  ]);
  console.log(`${name}: ${ok ? 'nothing found' : `see above; --replay FILE runs the input again`}`);
  return ok;
}

/**
 * @param {string} name
 * @param {string} file
 * @returns {boolean}
 */
export function replayNative(name, file) {
  return build(name) && run(program('fuzz', name), [realpathSync(file)]);
}

/** Whether clang can build what libFuzzer drives. */
export function hasLibFuzzer() {
  if (!isOnPath('clang++')) return false;
  const args = ['-fsanitize=fuzzer,address', '-x', 'c++', '-', '-o', '/dev/null'];
  const input = 'extern "C" int LLVMFuzzerTestOneInput(const char *, unsigned long) { return 0; }';
  return spawnSync('clang++', args, { input, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0;
}

/** @param {string} name */
function targetOf(name) {
  const target = nativeTargets.get(name);
  if (target === undefined) throw new Error(`there is no target ${name}`);
  return target;
}

/** @param {string} name */
function buildOf(name) {
  return join(ROOT, targetOf(name).folder, 'build/fuzz');
}

/**
 * @param {string} name
 * @param {string} folder
 * @returns {boolean}
 */
function writeSeeds(name, folder) {
  const { seeds } = targetOf(name);
  if (seeds === undefined) return run(program('seeds', name), [folder]);
  for (const [index, seed] of seeds().entries()) writeFileSync(join(folder, `seed-${index}`), seed);
  return true;
}

/** @param {string} name */
function build(name) {
  if (!hasLibFuzzer()) {
    console.error(
      `${name}: needs clang with libFuzzer; on Debian 12: apt-get install clang libclang-rt-14-dev`,
    );
    return false;
  }
  const options = [
    '-DCMAKE_C_COMPILER=clang',
    '-DCMAKE_CXX_COMPILER=clang++',
    '-DAXLE_BUILD_FUZZERS=ON',
    '-DAXLE_SANITIZE=address;undefined',
    '-DCMAKE_C_FLAGS_RELEASE=-O1',
    '-DCMAKE_CXX_FLAGS_RELEASE=-O1',
  ];
  const { folder, seeds } = targetOf(name);
  const kinds = seeds === undefined ? ['seeds', 'fuzz'] : ['fuzz'];
  const targets = kinds.map((kind) => programName(kind, name));
  return (
    quietly('cmake', ['-S', join(ROOT, folder), '-B', buildOf(name), ...options]) &&
    quietly('cmake', [
      ...['--build', buildOf(name), '--parallel', String(availableParallelism())],
      ...['--target', ...targets],
    ])
  );
}

/**
 * @param {string} kind
 * @param {string} name
 */
function programName(kind, name) {
  return `${kind}_${name.replaceAll('-', '_')}`;
}

/**
 * @param {string} kind
 * @param {string} name
 */
function program(kind, name) {
  return join(buildOf(name), 'fuzz', programName(kind, name));
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {boolean}
 */
function run(command, args) {
  return spawnSync(command, [...args], { stdio: 'inherit' }).status === 0;
}

/**
 * Shows what a tool said only when it failed.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {boolean}
 */
function quietly(command, args) {
  const { status, stdout, stderr } = spawnSync(command, [...args], { encoding: 'utf8' });
  if (status !== 0) console.error(`${stdout}${stderr}`);
  return status === 0;
}
