import {
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../repository.mjs';
import { failure, run, say, tryRun } from './run-logged.mjs';

/** There while a build runs; if it is found before one, that build was killed. */
const BUILDING_MARK = '.axle-building';

/** Folders whose sub-folders with a CMakeLists.txt are plugins. */
const PLUGIN_FOLDERS = ['plugins', 'test/plugins'];

/** Without these Axle does nothing; any other plugin may lack what it needs on this machine. */
const REQUIRED_PARTS = ['core/native', 'plugins/cpu-fallback'];

/**
 * @typedef {object} NativePart
 * @property {string} folder relative to the root; it is built in its sub-folder build/
 * @property {boolean} required
 * @property {(build: string) => [string, string[]]} configureCommand
 */

/** @returns {NativePart[]} the parts that are in the tree */
export function nativeParts() {
  const plugins = PLUGIN_FOLDERS.filter((folder) => existsSync(join(ROOT, folder))).flatMap(
    (folder) => readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`),
  );
  return ['core/native', ...plugins]
    .filter((folder) => existsSync(join(ROOT, folder, 'CMakeLists.txt')))
    .map((folder) => ({
      folder,
      required: REQUIRED_PARTS.includes(folder),
      configureCommand:
        folder === 'core/native'
          ? () => configureAddon(folder)
          : (build) => configurePlugin(folder, build),
    }));
}

/**
 * cmake-js knows where the headers of Node-API are.
 *
 * @param {string} folder
 * @returns {[string, string[]]}
 */
function configureAddon(folder) {
  const cmakeJs = join(ROOT, 'node_modules/cmake-js/bin/cmake-js');
  return [process.execPath, [cmakeJs, 'configure', '-d', folder, '-B', 'Release']];
}

/**
 * @param {string} folder
 * @param {string} build
 * @returns {[string, string[]]}
 */
function configurePlugin(folder, build) {
  return ['cmake', ['-S', folder, '-B', build, '-DCMAKE_BUILD_TYPE=Release']];
}

/**
 * @param {NativePart} part
 * @param {{ verbose: boolean }} options
 * @returns {Promise<string | undefined>} the reason why the part could not be built here
 */
export async function buildNativePart(part, { verbose }) {
  const build = join(ROOT, part.folder, 'build');
  if (!isUsable(build, part.folder)) {
    rmSync(build, { recursive: true, force: true });
    say(`building ${part.folder}`);
    const [command, args] = part.configureCommand(build);
    const { ok, output } = await tryRun(command, args, { verbose });
    if (!ok) {
      rmSync(build, { recursive: true, force: true });
      if (part.required) throw failure(`configuring ${part.folder}`, output, verbose);
      return reasonIn(output);
    }
  }
  const mark = join(build, BUILDING_MARK);
  writeFileSync(mark, '');
  try {
    const jobs = `${availableParallelism()}`;
    const args = ['--build', build, '--config', 'Release', '--parallel', jobs];
    await run(`building ${part.folder}`, 'cmake', args, { verbose });
  } finally {
    rmSync(mark, { force: true });
  }
  return undefined;
}

/**
 * @param {string} build
 * @param {string} folder
 * @returns {boolean} whether the build folder is complete, and of this checkout
 */
function isUsable(build, folder) {
  const cachePath = join(build, 'CMakeCache.txt');
  if (!existsSync(cachePath) || existsSync(join(build, BUILDING_MARK))) return false;
  if (!['Makefile', 'build.ninja'].some((name) => existsSync(join(build, name)))) return false;
  const cache = readFileSync(cachePath, 'utf8');
  const home = valueOf(cache, 'CMAKE_HOME_DIRECTORY');
  const compiler = valueOf(cache, 'CMAKE_CXX_COMPILER');
  return (
    (home === join(ROOT, folder) || home === realpathSync(join(ROOT, folder))) &&
    (compiler === undefined || existsSync(compiler))
  );
}

/**
 * @param {string} cache text of a CMakeCache.txt
 * @param {string} name
 * @returns {string | undefined}
 */
function valueOf(cache, name) {
  return new RegExp(`^${name}:\\w+=(.*)$`, 'm').exec(cache)?.[1];
}

/**
 * @param {string} output of a cmake that failed
 * @returns {string} its first complaint, on one line
 */
function reasonIn(output) {
  const [, complaint] = /CMake Error[^\n]*\n\s*([\s\S]*?)(?:\n\s*\n|$)/.exec(output) ?? [];
  return complaint?.replace(/\s+/g, ' ').trim() ?? 'cmake could not configure it';
}
