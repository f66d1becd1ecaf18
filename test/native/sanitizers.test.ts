import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import { pluginRules } from 'axle/plugin-check';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const plugin = join(root, 'plugins/cpu-fallback');
/** Of a failed command's output, what is shown. */
const linesShown = 60;

const kit = ['template', 'echo', 'fault'];
/** Those that apply to the kit's plugins, but for leaks: memory that was freed stays with the sanitizer for a while. */
const kitRules = pluginRules
  .map(({ id }) => id)
  .filter((id) => !/^(model|oracle)-|^range$|leaks$/.test(id))
  .flatMap((id) => ['--rule', id]);

/** Those that take few tasks: the emulated kernels are slow, and under a sanitizer slower. */
const cudaRules = [
  'loads',
  'reopens',
  'queues',
  'runs',
  'scatter',
  'bad-input',
  'output-cap',
  'cancel',
];

function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): void {
  const { status, stdout, stderr } = spawnSync(command, [...args], {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  const shown = `${stdout}${stderr}`.split('\n').slice(-linesShown).join('\n');
  expect(status, `${command} ${args.join(' ')}\n${shown}`).toBe(0);
}

describe.each([
  ['address and undefined', 'address', 'address;undefined', 'asan'],
  ['thread', 'thread', 'thread', 'tsan'],
])('under the %s sanitizer', (_, kind, sanitizers, folder) => {
  it('the CPU plugin passes its own tests', () => {
    const build = join(plugin, 'build', folder);
    const options = [
      '-DAXLE_BUILD_TESTS=ON',
      `-DAXLE_SANITIZE=${sanitizers}`,
      '-DCMAKE_CXX_FLAGS_RELEASE=-O1',
    ];
    run('cmake', ['-S', plugin, '-B', build, ...options]);
    run('cmake', ['--build', build, '--parallel', String(availableParallelism())]);
    // libonnxruntime is not instrumented: what it frees at exit, and its own threads, are not looked at.
    run('setarch', ['-R', 'ctest', '--test-dir', build, '--output-on-failure']);
  });

  it('the CUDA plugin passes its own tests and keeps the rules, on the emulated driver', () => {
    const source = join(root, 'plugins/cuda');
    const build = join(source, 'build', folder);
    const options = [
      '-DAXLE_BUILD_TESTS=ON',
      `-DAXLE_SANITIZE=${sanitizers}`,
      '-DCMAKE_CXX_FLAGS_RELEASE=-O1',
      '-DAXLE_CUDA_COMPILER=none',
    ];
    run('cmake', ['-S', source, '-B', build, ...options]);
    run('cmake', ['--build', build, '--parallel', String(availableParallelism())]);
    run('setarch', ['-R', 'ctest', '--test-dir', build, '--output-on-failure']);
    const driver = join(build, 'emulated/libcuda.so.1');
    const opened = { driver, slab_bytes: String(4 << 20), lanes: '2' };
    const optionArgs = Object.entries(opened).flatMap(([key, value]) => [
      '--option',
      `${key}=${value}`,
    ]);
    const check = ['cli/dist/main.js', 'plugin', 'check', join(build, 'libaxle_cuda.so')];
    const rules = cudaRules.flatMap((id) => ['--rule', id]);
    const command = [process.execPath, ...check, '--timeout', '300', '--oracle', 'none'];
    run(process.execPath, [
      ...['core/native/sanitize.mjs', kind, '--'],
      ...[...command, ...optionArgs, ...rules],
    ]);
  });

  it('the plugin host passes its tests', () => {
    run(process.execPath, ['core/native/sanitize.mjs', kind]);
  });

  it.each(kit)('the %s plugin keeps the rules', (name) => {
    const source = join(root, 'plugins', name);
    const build = join(source, 'build', folder);
    const options = [`-DAXLE_SANITIZE=${sanitizers}`, '-DCMAKE_C_FLAGS_RELEASE=-O1'];
    run('cmake', ['-S', source, '-B', build, ...options]);
    run('cmake', ['--build', build]);
    const library = join(build, `libaxle_${name}.so`);
    const check = ['cli/dist/main.js', 'plugin', 'check', library, '--timeout', '300'];
    const command = [process.execPath, ...check, '--oracle', 'none', ...kitRules];
    run(process.execPath, ['core/native/sanitize.mjs', kind, '--', ...command]);
  });
});
