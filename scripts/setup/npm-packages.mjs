import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../repository.mjs';
import { run, say, tryRun } from './run-logged.mjs';

const LOCKFILE = join(ROOT, 'package-lock.json');
const NODE_MODULES = join(ROOT, 'node_modules');

/** Written after a complete install: the hash of the lockfile that was installed. */
const STAMP = join(NODE_MODULES, '.axle-setup');

/** npm's own record of what it installed. */
const INSTALLED = join(NODE_MODULES, '.package-lock.json');

/**
 * No dependency needs an install script here, and onnxruntime-node's fails without access to the
 * site of its CUDA libraries. NODE_ENV=production must not leave out the build's tools.
 */
const NPM_CI = ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund'];
const NPM_ENV = { ONNXRUNTIME_NODE_INSTALL: 'skip' };

/**
 * Makes node_modules what the lockfile says, if it is not.
 *
 * @param {{ verbose: boolean }} options
 */
export async function installNpmPackages({ verbose }) {
  const lockHash = createHash('sha256').update(readFileSync(LOCKFILE)).digest('hex');
  if (isInstalled(lockHash)) return;

  say('installing npm packages');
  rmSync(STAMP, { force: true });
  const options = { verbose, env: NPM_ENV };
  const { ok } = await tryRun('npm', NPM_CI, options);
  if (!ok) {
    // A half-installed folder can stop npm from replacing it.
    rmSync(NODE_MODULES, { recursive: true, force: true });
    await run('npm ci', 'npm', NPM_CI, options);
  }
  writeFileSync(STAMP, lockHash);
}

/** @param {string} lockHash */
function isInstalled(lockHash) {
  if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== lockHash) return false;
  if (!existsSync(INSTALLED)) return false;
  const { packages } = JSON.parse(readFileSync(INSTALLED, 'utf8'));
  return Object.keys(packages).every((folder) => existsSync(join(ROOT, folder, 'package.json')));
}
