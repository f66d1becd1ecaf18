// Builds the addon and its test plugin with sanitizers and runs the same tests on them, or a command that then uses
// that addon, such as the check of a plugin that was built with the same sanitizers:
//
//   node core/native/sanitize.mjs address|thread [arguments for vitest]
//   node core/native/sanitize.mjs address|thread -- COMMAND...
//
// Node itself is not instrumented, so the sanitizer's runtime is preloaded, and its leak check, which would
// report what Node leaves to the end of the process, is off.
import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, '../..');

/**
 * @typedef {object} Kind
 * @property {string} sanitizers for -fsanitize=
 * @property {string} build the folder
 * @property {string} runtime to preload
 * @property {Record<string, string>} environment
 */

/** @type {Record<string, Kind>} */
const KINDS = {
  address: {
    sanitizers: 'address,undefined',
    build: join(HERE, 'build/asan'),
    runtime: 'libasan.so',
    environment: {
      ASAN_OPTIONS:
        'detect_leaks=0:abort_on_error=1:alloc_dealloc_mismatch=0:allocator_may_return_null=1',
      UBSAN_OPTIONS: 'print_stacktrace=1',
    },
  },
  thread: {
    sanitizers: 'thread',
    build: join(HERE, 'build/tsan'),
    runtime: 'libtsan.so',
    environment: {
      // Only calls from instrumented code are looked at: V8 and libuv synchronise in ways it cannot see.
      TSAN_OPTIONS:
        'ignore_noninstrumented_modules=1:halt_on_error=1:abort_on_error=1:allocator_may_return_null=1' +
        `:suppressions=${join(HERE, 'tsan-suppressions.txt')}`,
    },
  },
};

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {Record<string, string>} [environment]
 */
function run(command, args, environment = {}) {
  const { status, signal } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...environment },
  });
  if (status !== 0) {
    console.error(`axle: ${command} ended with ${signal ?? status}`);
    process.exit(1);
  }
}

const [name = '', ...rest] = process.argv.slice(2);
const kind = KINDS[name];
if (kind === undefined || (rest[0] === '--' && rest.length === 1)) {
  console.error(
    'usage: node core/native/sanitize.mjs address|thread [arguments for vitest | -- COMMAND...]',
  );
  process.exit(2);
}

const cmakeJs = join(ROOT, 'node_modules/cmake-js/bin/cmake-js');
const sanitize = `--CDAXLE_SANITIZE=${kind.sanitizers}`;
run(process.execPath, [
  cmakeJs,
  'configure',
  '-d',
  HERE,
  '-O',
  kind.build,
  '-B',
  'Release',
  sanitize,
]);
run('cmake', ['--build', kind.build, '--parallel', `${availableParallelism()}`]);

const found = spawnSync('g++', [`-print-file-name=${kind.runtime}`], { encoding: 'utf8' });
const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
const tests = ['run', 'core/native/test', '--testTimeout=300000', '--hookTimeout=300000'];
const command = rest[0] === '--' ? rest.slice(1) : [process.execPath, vitest, ...tests, ...rest];
// Address-space randomisation past what the runtime's shadow allows would stop it: setarch -R turns it off.
run('setarch', ['-R', ...command], {
  ...kind.environment,
  LD_PRELOAD: realpathSync(found.stdout.trim()),
  AXLE_NATIVE_ADDON: join(kind.build, 'Release/axle_host.node'),
});
