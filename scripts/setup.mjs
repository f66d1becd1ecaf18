// Makes a checkout ready to use: system packages, npm packages, generated constants, native parts,
// TypeScript. Safe to run at any time; does only what is not done yet.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { generateConstants } from './generate.mjs';
import { isProgram, ROOT } from './repository.mjs';
import { withLock } from './setup/lock.mjs';
import { fetchGuestKernel } from './setup/guest-kernel.mjs';
import { buildNativePart, nativeParts } from './setup/native-parts.mjs';
import { checkNodeVersion } from './setup/node-version.mjs';
import { installNpmPackages } from './setup/npm-packages.mjs';
import { say, SetupError, startLog } from './setup/run-logged.mjs';
import {
  BUILD_PACKAGES,
  installSystemPackages,
  LINT_PACKAGES,
  TEST_TOOL_PACKAGES,
} from './setup/system-packages.mjs';
import { buildTypeScript, typescriptPackages } from './setup/typescript-build.mjs';

const LOCK_PATH = join(ROOT, 'build/setup.lock');

/**
 * @typedef {object} SetupOptions
 * @property {boolean} [verbose] show the output of the tools
 * @property {boolean} [fresh] throw away what earlier set-ups made
 */

/**
 * @param {SetupOptions} [options]
 * @throws {SetupError} with what the user has to do or see
 */
export async function setUp({ verbose = false, fresh = false } = {}) {
  checkNodeVersion();
  await withLock(LOCK_PATH, async () => {
    startLog();
    if (fresh) removeBuilt();
    await setUpLocked(verbose);
  });
}

/** @param {boolean} verbose */
async function setUpLocked(verbose) {
  const start = performance.now();
  const optionalPackages = [...TEST_TOOL_PACKAGES, ...(isCi() ? LINT_PACKAGES : [])];
  const missing = await installSystemPackages(BUILD_PACKAGES, optionalPackages, { verbose });

  await installNpmPackages({ verbose });
  generateConstants();

  /** @type {string[]} */
  const built = [];
  const notBuilt = missing.map(
    (name) => `${name} (not installed; what compares with it is skipped)`,
  );
  for (const part of nativeParts()) {
    const reason = await buildNativePart(part, { verbose });
    if (reason === undefined) built.push(part.folder);
    else notBuilt.push(`${part.folder} (${reason})`);
  }
  const noKernel = await fetchGuestKernel({ verbose });
  if (noKernel !== undefined) notBuilt.push(`the kernel of Linux guests (${noKernel})`);
  await buildTypeScript({ verbose });
  built.push(...typescriptPackages());

  say(`built: ${built.join(', ')}`);
  for (const part of notBuilt) say(`not built: ${part}`);
  say(`ready (${((performance.now() - start) / 1000).toFixed(1)} s)`);
}

/** Removes everything but the sources, the log and the lock. */
function removeBuilt() {
  const plugins = ['plugins', 'test/plugins'].flatMap((folder) =>
    existsSync(join(ROOT, folder))
      ? readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}/build`)
      : [],
  );
  const outputs = typescriptPackages().map((folder) => `${folder}/dist`);
  const folders = [
    'node_modules',
    'core/src/generated',
    'remoting/src/generated',
    'unikernel-glue/build',
    'axle/build',
    'core/native/build',
    ...plugins,
    ...outputs,
  ];
  for (const folder of folders) rmSync(join(ROOT, folder), { recursive: true, force: true });
}

/** @returns {boolean} */
export function isCi() {
  return process.env['CI'] === 'true' || process.env['CI'] === '1';
}

/**
 * For a script that needs a checkout ready to use: sets up, or says why not and ends the process.
 *
 * @param {SetupOptions} [options]
 */
export async function setUpOrExit(options) {
  try {
    await setUp(options);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`axle: ${error.message}`);
    process.exit(1);
  }
}

if (isProgram(import.meta.url)) {
  const args = process.argv.slice(2);
  await setUpOrExit({ verbose: args.includes('--verbose'), fresh: args.includes('--fresh') });
}
