// Builds the guests of unikernel-glue/guest: unikernels, which are ELF files that QEMU's microvm and other machine monitors
// with PVH boot, and Linux microVMs, which are folders with a kernel and its first file system.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { initramfsOf } from './guests/initramfs.mjs';
import { isProgram, ROOT } from './repository.mjs';
import { GUEST_KERNEL, GUEST_MODULES, guestKernelPackage } from './setup/guest-kernel.mjs';

const GLUE = join(ROOT, 'unikernel-glue');
const OUTPUT = join(GLUE, 'build/guest');

/** What it classifies, unless told otherwise. */
const SAMPLE = join(ROOT, 'axle/models/samples/A.png');

const CLIENT = [
  ...['client', 'client_requests', 'client_send', 'client_receive'].map((name) => `src/${name}.c`),
  ...['memory', 'wire_layout', 'wire_read', 'wire_write'].map((name) => `src/${name}.c`),
];

/** The client's transport and the machine under it, of each kind of guest. */
const UNIKERNEL = ['guest/boot.S', 'guest/platform.c', 'virtio/console.c'];
const LINUX = ['guest/linux.c', 'guest/linux_vsock.c', 'posix/transport.c'];

/** @type {Readonly<Record<string, readonly string[]>>} */
const PROGRAMS = {
  bench: ['guest/bench.c'],
  classify: ['guest/classify.c', 'guest/image.S'],
  bad_function: ['test/bad_function.c', 'src/function.c'],
  function: ['examples/functions/classify.c', 'src/function.c'],
  conformance: ['guest/conformance.c', 'conformance/conformance.c'],
  shared: ['guest/shared.c'],
};

/** Examples of functions. */
const FUNCTIONS = /** @type {const} */ (['classify-unikernel', 'classify-microvm']);

/**
 * No floating point: there is nothing that saves its registers. Arguments go in registers, the stack is aligned to what the
 * machine wants, and each function stays one: all of it makes the code smaller.
 */
export const GUEST_MACHINE = [
  ...['-m32', '-march=i686', '-mno-sse', '-mno-mmx', '-fno-pic', '-fno-pie'],
  ...['-mregparm=3', '-mpreferred-stack-boundary=2'],
  ...['-fno-inline-functions-called-once', '-fno-partial-inlining'],
];
const LANGUAGE = ['-std=c11', '-Os', '-Iinclude', '-Wall', '-Wextra', '-Wconversion', '-Werror'];
const FREESTANDING = [
  ...['-ffreestanding', '-fno-stack-protector', '-fno-asynchronous-unwind-tables'],
  ...['-ffunction-sections', '-fdata-sections', '-nostdlib', '-static', '-s'],
];
const LINKER = [
  '-Wl,--gc-sections,--build-id=none,-z,noexecstack,--no-warn-rwx-segments',
  ...['-T', 'guest/guest.ld'],
];

/**
 * @typedef {object} GuestOptions
 * @property {string} [image] the image that it carries
 */

/**
 * A unikernel.
 *
 * @param {keyof typeof PROGRAMS} program
 * @param {GuestOptions} [options]
 * @returns {string} its file
 * @throws {Error} with what the compiler said
 */
export function buildGuest(program, options) {
  const args = [...GUEST_MACHINE, ...FREESTANDING, ...LINKER];
  return compile(`${program}.elf`, [...args, ...UNIKERNEL], program, options);
}

/**
 * The same program in a microVM with Linux.
 *
 * @param {keyof typeof PROGRAMS} program
 * @param {GuestOptions} [options]
 * @param {string} [folder] where it is to be
 * @returns {string} its folder
 * @throws {Error} where the kernel is not there; with what the compiler said
 */
export function buildLinuxGuest(program, options, folder = join(OUTPUT, `${program}-linux`)) {
  if (guestKernelPackage() === undefined) {
    throw new Error(
      'there is no kernel for Linux guests; npm run setup fetches it, or says why not',
    );
  }
  const init = compile(`${program}.init`, ['-static', '-s', ...LINUX], program, options);
  const modules = Object.values(GUEST_MODULES).flat();
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  copyFileSync(join(GUEST_KERNEL, 'vmlinuz'), join(folder, 'vmlinuz'));
  const files = initramfsOf([
    ...['dev', 'sys', 'proc', 'modules'].map((path) => ({ path })),
    // The kernel gives it to the first process as its standard input, output and error.
    { path: 'dev/console', device: [5, 1] },
    ...modules.map((name) => ({
      path: `modules/${name}.ko`,
      content: readFileSync(join(GUEST_KERNEL, `${name}.ko`)),
    })),
    { path: 'init', content: readFileSync(init) },
  ]);
  writeFileSync(join(folder, 'initrd.img'), files);
  return folder;
}

/**
 * @param {string} name of the file
 * @param {readonly string[]} args for the machine
 * @param {keyof typeof PROGRAMS} program
 * @param {GuestOptions} [options]
 */
function compile(name, args, program, { image = SAMPLE } = {}) {
  const sources = PROGRAMS[program];
  if (sources === undefined) throw new Error(`there is no guest ${program}`);
  mkdirSync(OUTPUT, { recursive: true });
  const path = join(OUTPUT, name);
  const define = `-DAXLE_IMAGE=${JSON.stringify(resolve(image))}`;
  const { status, stderr, error } = spawnSync(
    'gcc',
    [...LANGUAGE, define, ...args, ...CLIENT, ...sources, '-o', path],
    { cwd: GLUE, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`gcc failed: ${error?.message ?? stderr}`);
  return path;
}

/**
 * A function that is a guest, as `axle function push` takes it.
 *
 * @param {typeof FUNCTIONS[number]} name
 * @returns {string} its folder
 */
export function buildGuestFunction(name) {
  const folder = join(GLUE, 'build/functions', name);
  mkdirSync(folder, { recursive: true });
  const manifest = join(GLUE, 'examples/functions', name, 'axle-function.json');
  copyFileSync(manifest, join(folder, 'axle-function.json'));
  if (name === 'classify-microvm') buildLinuxGuest('function', {}, join(folder, 'guest'));
  else copyFileSync(buildGuest('function'), join(folder, 'classify.elf'));
  return folder;
}

if (isProgram(import.meta.url)) {
  for (const program of Object.keys(PROGRAMS)) {
    console.log(buildGuest(program));
    console.log(buildLinuxGuest(program));
  }
  for (const name of FUNCTIONS) console.log(buildGuestFunction(name));
}
