import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ROOT } from '../repository.mjs';
import { say, tryRun } from './run-logged.mjs';
import { aptPrivilege, isOnPath } from './system-packages.mjs';

/** What Linux guests are built from: the kernel as `vmlinuz`, its modules, and `package`, which says where they are from. */
export const GUEST_KERNEL = join(ROOT, 'unikernel-glue/build/linux');

/** Debian's kernel for virtual machines, whose newest version this one depends on. */
const LATEST = 'linux-image-cloud-amd64';

/** In the order in which they are loaded: the way to the host, and the loopback of vsock, which its transport is tested on. */
export const GUEST_MODULES = {
  virtio: ['virtio_ring', 'virtio', 'virtio_mmio', 'virtio_console'],
  vsock: ['vsock', 'vmw_vsock_virtio_transport_common', 'vsock_loopback'],
};

const PACKED = '.xz';
const TOOLS = ['apt-get', 'apt-cache', 'dpkg-deb', 'xz'];

/**
 * Fetches the kernel, where it is not there yet. It is unpacked here, and not installed on this machine.
 *
 * @param {{ verbose: boolean }} options
 * @returns {Promise<string | undefined>} the reason why it cannot be had here
 */
export async function fetchGuestKernel({ verbose }) {
  if (existsSync(join(GUEST_KERNEL, 'package'))) return undefined;
  if (process.arch !== 'x64') return 'guests are of x86-64, and this machine is not';
  const lacks = TOOLS.filter((tool) => !isOnPath(tool));
  if (lacks.length > 0) return `the kernel comes from Debian's packages, by ${lacks.join(', ')}`;
  say('fetching the kernel of Linux guests');
  mkdirSync(dirname(GUEST_KERNEL), { recursive: true });
  const work = mkdtempSync(`${GUEST_KERNEL}-`);
  try {
    const archive = (await download(work, verbose)) ?? (await downloadAnew(work, verbose));
    if (archive === undefined) return `apt-get cannot download what ${LATEST} depends on`;
    const unpacked = join(work, 'unpacked');
    const { ok } = await tryRun('dpkg-deb', ['-x', archive, unpacked], { verbose });
    if (!ok) return 'its package cannot be unpacked';
    return await take(unpacked, join(work, 'linux'), basename(archive), verbose);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * A machine that was just made has no lists of packages, and those of an old one name versions that are gone.
 *
 * @param {string} folder
 * @param {boolean} verbose
 */
async function downloadAnew(folder, verbose) {
  const privilege = aptPrivilege();
  if (privilege === undefined) return undefined;
  const [command = '', ...args] = [...privilege, 'apt-get', 'update'];
  await tryRun(command, args, { verbose });
  return download(folder, verbose);
}

/**
 * @param {string} folder
 * @param {boolean} verbose
 * @returns {Promise<string | undefined>} the package's file
 */
async function download(folder, verbose) {
  const { stdout } = spawnSync('apt-cache', ['depends', LATEST], { encoding: 'utf8' });
  const [, name] = /^\s*Depends: (linux-image-\S+)$/m.exec(stdout ?? '') ?? [];
  if (name === undefined) return undefined;
  const { ok } = await tryRun('apt-get', ['download', name], { verbose, cwd: folder });
  const file = readdirSync(folder).find((each) => each.endsWith('.deb'));
  return ok && file !== undefined ? join(folder, file) : undefined;
}

/**
 * Puts what is used of a package in its place, at once and whole.
 *
 * @param {string} unpacked
 * @param {string} folder
 * @param {string} from the package
 * @param {boolean} verbose
 * @returns {Promise<string | undefined>} what is missing
 */
async function take(unpacked, folder, from, verbose) {
  mkdirSync(folder);
  const files = readdirSync(unpacked, { recursive: true, encoding: 'utf8' });
  const kernel = files.find((file) => file.startsWith('boot/vmlinuz-'));
  if (kernel === undefined) return 'its package has no kernel';
  copyFileSync(join(unpacked, kernel), join(folder, 'vmlinuz'));
  for (const name of Object.values(GUEST_MODULES).flat()) {
    const file = files.find((each) =>
      [`${name}.ko`, `${name}.ko${PACKED}`].includes(basename(each)),
    );
    if (file === undefined) return `its package has no module ${name}`;
    const to = join(folder, basename(file));
    copyFileSync(join(unpacked, file), to);
    if (!file.endsWith(PACKED)) continue;
    const { ok } = await tryRun('xz', ['-d', to], { verbose });
    if (!ok) return `the module ${name} cannot be decompressed`;
  }
  writeFileSync(join(folder, 'package'), `${from}\n`);
  rmSync(GUEST_KERNEL, { recursive: true, force: true });
  renameSync(folder, GUEST_KERNEL);
  return undefined;
}

/** @returns {string | undefined} the package that the kernel is from; undefined: it is not there */
export function guestKernelPackage() {
  const path = join(GUEST_KERNEL, 'package');
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined;
}
