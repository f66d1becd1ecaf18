import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { ROOT } from '../../scripts/repository.mjs';

/** What is built. */
const GLUE = join(ROOT, 'unikernel-glue');

/**
 * Builds what the tests run.
 *
 * @param {string} name of the folder in build/
 * @param {readonly string[]} options for cmake
 * @returns {string} the folder
 * @throws Error with what the compiler said
 */
export function buildTests(name, options = []) {
  const build = join(GLUE, 'build', name);
  run('cmake', ['-S', GLUE, '-B', build, '-DAXLE_BUILD_TESTS=ON', ...options]);
  run('cmake', ['--build', build]);
  return build;
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {string} [input]
 * @returns {string} what it printed
 * @throws Error with all that it said
 */
export function run(command, args, input = '') {
  const options = { cwd: GLUE, input, encoding: /** @type {const} */ ('utf8'), maxBuffer: 2 ** 28 };
  const { status, signal, stdout, stderr } = spawnSync(command, [...args], options);
  if (status === 0) return stdout;
  throw new Error(`${command} ended with ${signal ?? status}\n${stdout}${stderr}`);
}
