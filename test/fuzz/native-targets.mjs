// The targets in C++, plugins/cpu-fallback/fuzz: libFuzzer drives them, under ASan and UBSan.
import { spawnSync } from 'node:child_process';
import { mkdirSync, realpathSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import { ROOT } from '../../scripts/repository.mjs';
import { isOnPath } from '../../scripts/setup/system-packages.mjs';

const PLUGIN = join(ROOT, 'plugins/cpu-fallback');
const BUILD = join(PLUGIN, 'build/fuzz');

/** By name. */
export const nativeTargets = new Map([
  ['archives', 'zstd, lz4 and gzip, whole and as streams'],
  ['bytes-elements', 'BYTES tensors'],
  ['onnx-scan', 'what ONNX files say of other files'],
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
  const seeds = join(BUILD, 'seeds', name);
  mkdirSync(seeds, { recursive: true });
  if (!run(program('seeds', name), [seeds])) return false;
  const crashes = join(ROOT, 'build/fuzz');
  const corpus = join(BUILD, 'corpus', name);
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
function build(name) {
  if (!hasLibFuzzer()) {
    console.error(
      `${name}: needs clang with libFuzzer; on Debian 12: apt-get install clang libclang-rt-14-dev`,
    );
    return false;
  }
  const options = [
    '-DCMAKE_CXX_COMPILER=clang++',
    '-DAXLE_BUILD_FUZZERS=ON',
    '-DAXLE_SANITIZE=address;undefined',
    '-DCMAKE_CXX_FLAGS_RELEASE=-O1',
  ];
  const targets = ['seeds', 'fuzz'].map((kind) => programName(kind, name));
  return (
    quietly('cmake', ['-S', PLUGIN, '-B', BUILD, ...options]) &&
    quietly('cmake', [
      ...['--build', BUILD, '--parallel', String(availableParallelism())],
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
  return join(BUILD, 'fuzz', programName(kind, name));
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
