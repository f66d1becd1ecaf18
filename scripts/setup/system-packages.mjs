import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { ROOT } from '../repository.mjs';
import { run, say, SetupError, tryRun } from './run-logged.mjs';

/**
 * @typedef {object} SystemPackage
 * @property {string} name as Debian calls it
 * @property {string} [command] a program by which it shows on any system
 * @property {string} [header] a C header by which it shows on any system
 */

/** @type {readonly SystemPackage[]} */
export const BUILD_PACKAGES = [
  { name: 'g++', command: 'g++' },
  { name: 'make', command: 'make' },
  { name: 'cmake', command: 'cmake' },
  { name: 'libzstd-dev', header: 'zstd.h' },
  { name: 'liblz4-dev', header: 'lz4frame.h' },
  { name: 'libdeflate-dev', header: 'libdeflate.h' },
  { name: 'libisal-dev', header: 'isa-l.h' },
  { name: 'libxxhash-dev', header: 'xxhash.h' },
];

/**
 * The command-line tools that the tests and the demo compare with, openssl, which makes their certificates, a browser, and
 * what guests are built for and run in: machines of 32 bits and of the other byte order, and a virtual machine monitor; xz
 * unpacks modules of kernels. Verilator makes the FPGA's kernels run without one.
 *
 * @type {readonly SystemPackage[]}
 */
export const TEST_TOOL_PACKAGES = [
  { name: 'zstd', command: 'zstd' },
  { name: 'lz4', command: 'lz4' },
  { name: 'gzip', command: 'gzip' },
  { name: 'pigz', command: 'pigz' },
  { name: 'openssl', command: 'openssl' },
  { name: 'chromium', command: 'chromium' },
  { name: 'gcc-i686-linux-gnu', command: 'i686-linux-gnu-gcc' },
  { name: 'libc6-dev-i386-cross' },
  { name: 'gcc-s390x-linux-gnu', command: 's390x-linux-gnu-gcc' },
  { name: 'libc6-dev-s390x-cross' },
  { name: 'qemu-user', command: 'qemu-s390x' },
  { name: 'qemu-system-x86', command: 'qemu-system-x86_64' },
  { name: 'iproute2', command: 'ip' },
  { name: 'xz-utils', command: 'xz' },
  { name: 'verilator', command: 'verilator' },
];

/** @type {readonly SystemPackage[]} */
export const LINT_PACKAGES = [{ name: 'clang-format', command: 'clang-format' }];

const APT_ENV = { DEBIAN_FRONTEND: 'noninteractive' };

/** Another apt may be running: wait for it rather than fail. */
const APT_OPTIONS = ['-o', 'DPkg::Lock::Timeout=300'];

const INSTALL = ['install', '-y', '--no-install-recommends'];

/** Names the optional packages that apt could not install when it was last tried. */
const TRIED_FILE = join(ROOT, 'build/not-installed');

const RETRY_AFTER_MS = 60 * 60_000;

/**
 * Installs what is missing where this process may, and otherwise says in one line what to install.
 *
 * @param {readonly SystemPackage[]} required without which nothing can be built
 * @param {readonly SystemPackage[]} optional
 * @param {{ verbose: boolean }} options
 * @returns {Promise<string[]>} names of the optional packages that are still missing
 */
export async function installSystemPackages(required, optional, { verbose }) {
  const missingRequired = findMissing(required);
  const missingOptional = findMissing(optional);
  const names = namesOf([...missingRequired, ...missingOptional]);
  if (missingRequired.length === 0) {
    if (missingOptional.length === 0 || wasTriedLately(names)) return namesOf(missingOptional);
  }

  const privilege = aptPrivilege();
  if (privilege !== undefined) {
    say(`installing system packages: ${names.join(' ')}`);
    await aptInstall(privilege, missingRequired, missingOptional, verbose);
    const stillMissing = namesOf(findMissing(optional));
    if (stillMissing.length > 0) rememberTry(stillMissing);
    return stillMissing;
  }
  if (missingRequired.length === 0) return namesOf(missingOptional);
  throw new SetupError(
    isOnPath('apt-get')
      ? `system packages are missing; run: sudo apt-get install -y ${names.join(' ')}`
      : `system packages are missing; install these, by their Debian names: ${names.join(' ')}`,
  );
}

/** @param {readonly SystemPackage[]} packages */
function namesOf(packages) {
  return packages.map(({ name }) => name);
}

/**
 * @param {readonly SystemPackage[]} packages
 * @returns {SystemPackage[]}
 */
export function findMissing(packages) {
  const installed = dpkgInstalled(packages.map(({ name }) => name));
  return packages.filter((each) => !installed.has(each.name) && !isPresent(each));
}

/**
 * @param {string[]} names
 * @returns {Set<string>}
 */
function dpkgInstalled(names) {
  const format = '${db:Status-Status} ${Package}\\n';
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', format, ...names], { encoding: 'utf8' });
  const lines = (stdout ?? '').split('\n').map((line) => line.split(' '));
  return new Set(lines.filter(([status]) => status === 'installed').map(([, name]) => name ?? ''));
}

/**
 * For systems without dpkg, and for tools that were not installed from packages.
 *
 * @param {SystemPackage} wanted
 */
function isPresent({ command, header }) {
  if (command !== undefined) return isOnPath(command);
  if (header === undefined) return false;
  const { status } = spawnSync('g++', ['-E', '-x', 'c++', '-'], {
    input: `#include <${header}>\n`,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  return status === 0;
}

/**
 * @param {string} command
 * @returns {boolean}
 */
export function isOnPath(command) {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false; // Not in this folder: the next may have it.
    }
  });
}

/**
 * @returns {string[] | undefined} what to put before apt-get, or undefined if it may not be used
 */
export function aptPrivilege() {
  if (!isOnPath('apt-get')) return undefined;
  if (process.getuid?.() === 0) return [];
  const { status } = spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' });
  return status === 0 ? ['sudo', '-n', 'env', 'DEBIAN_FRONTEND=noninteractive'] : undefined;
}

/**
 * @param {string[]} privilege
 * @param {readonly SystemPackage[]} required
 * @param {readonly SystemPackage[]} optional
 * @param {boolean} verbose
 * @throws {SetupError} if a required package cannot be installed
 */
async function aptInstall(privilege, required, optional, verbose) {
  const options = { verbose, env: APT_ENV };
  for (let attempt = 1; attempt <= 2; attempt++) {
    await tryRun(...aptGet(privilege, ['update']), options);
    const { ok } = await tryRun(...aptGet(privilege, INSTALL, [...required, ...optional]), options);
    if (ok) return;
  }
  // One that is not to be had keeps apt from installing any.
  for (const each of optional) await tryRun(...aptGet(privilege, INSTALL, [each]), options);
  if (required.length === 0) return;
  const what = `installing system packages (${namesOf(required).join(' ')})`;
  await run(what, ...aptGet(privilege, INSTALL, required), options);
}

/**
 * @param {string[]} privilege
 * @param {readonly string[]} action
 * @param {readonly SystemPackage[]} packages
 * @returns {[string, string[]]}
 */
function aptGet(privilege, action, packages = []) {
  const words = [...privilege, 'apt-get', ...APT_OPTIONS, ...action, ...namesOf(packages)];
  const [command = 'apt-get', ...args] = words;
  return [command, args];
}

/**
 * Without this, a machine that cannot get an optional package would wait for apt every time.
 *
 * @param {readonly string[]} names
 */
function wasTriedLately(names) {
  if (!existsSync(TRIED_FILE) || readFileSync(TRIED_FILE, 'utf8') !== names.join(' ')) return false;
  return Date.now() - statSync(TRIED_FILE).mtimeMs < RETRY_AFTER_MS;
}

/** @param {readonly string[]} names */
function rememberTry(names) {
  mkdirSync(dirname(TRIED_FILE), { recursive: true });
  writeFileSync(TRIED_FILE, names.join(' '));
}
