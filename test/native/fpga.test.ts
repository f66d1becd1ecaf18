// The kernels of the FPGA under Verilator, and the plugin on them under the sanitizers.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const plugin = join(root, 'plugins/fpga-xrt');
/** Of a failed command's output, what is shown. */
const linesShown = 60;
/** Those that take few tasks: a clock of the simulation takes long, and under a sanitizer longer. */
const rules = [
  'loads',
  'reopens',
  'queues',
  'runs',
  'scatter',
  'bad-input',
  'output-cap',
  'cancel',
];

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, [...args], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  const shown = `${stdout}${stderr}`.split('\n').slice(-linesShown).join('\n');
  expect(status, `${command} ${args.join(' ')}\n${shown}`).toBe(0);
  return stdout;
}

function build(folder: string, options: readonly string[]): void {
  run('cmake', ['-S', plugin, '-B', folder, '-DAXLE_BUILD_TESTS=ON', ...options]);
  run('cmake', ['--build', folder, '--parallel', String(availableParallelism())]);
}

beforeEach(({ skip }) => {
  if (spawnSync('verilator', ['--version']).status !== 0) skip('there is no verilator');
});

describe('the kernels', () => {
  it('pass their test bench, and verilator finds nothing to say about them', () => {
    const folder = join(plugin, 'build/tests');
    build(folder, []);
    run('ctest', ['--test-dir', folder, '--output-on-failure']);
    console.log(run(join(folder, 'test/axle_fpga_kernel_tests'), ['bytes_per_cycle']));
  });
});

describe.each([
  ['address and undefined', 'address', 'address;undefined', 'asan'],
  ['thread', 'thread', 'thread', 'tsan'],
])('under the %s sanitizer', (_, kind, sanitizers, name) => {
  it('the plugin keeps the rules, on the emulated card', () => {
    const folder = join(plugin, 'build', name);
    build(folder, [`-DAXLE_SANITIZE=${sanitizers}`, '-DCMAKE_CXX_FLAGS_RELEASE=-O1']);
    const options = [
      ...['--option', `library=${join(folder, 'emulated/libxrt_coreutil.so.2')}`],
      ...['--option', `xclbin=${join(folder, 'emulated/emulated.xclbin')}`],
    ];
    run(process.execPath, [
      ...['core/native/sanitize.mjs', kind, '--', process.execPath, 'cli/dist/main.js'],
      ...['plugin', 'check', join(folder, 'libaxle_fpga_xrt.so'), '--timeout', '300'],
      ...['--oracle', 'none', ...options, ...rules.flatMap((id) => ['--rule', id])],
    ]);
  });
});
