// Builds the unikernels of unikernel-glue/guest: ELF files that QEMU's microvm and other machine monitors with PVH boot.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isProgram, ROOT } from './repository.mjs';

const GLUE = join(ROOT, 'unikernel-glue');

/** What it classifies, unless told otherwise. */
const SAMPLE = join(ROOT, 'axle/models/samples/A.png');

/** The client, its transport, and the machine under them. */
const SOURCES = [
  ...['boot.S', 'platform.c'].map((name) => `guest/${name}`),
  'virtio/console.c',
  ...['client', 'client_requests', 'client_send', 'client_receive'].map((name) => `src/${name}.c`),
  ...['memory', 'wire_layout', 'wire_read', 'wire_write'].map((name) => `src/${name}.c`),
];

/** @type {Readonly<Record<string, readonly string[]>>} */
const PROGRAMS = {
  bench: ['guest/bench.c'],
  classify: ['guest/classify.c'],
  conformance: ['guest/conformance.c', 'conformance/conformance.c'],
  shared: ['guest/shared.c'],
};

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
 * @param {keyof typeof PROGRAMS} program
 * @param {{ image?: string }} [options] the image that it carries
 * @returns {string} its path
 * @throws {Error} with what the compiler said
 */
export function buildGuest(program, { image = SAMPLE } = {}) {
  const sources = PROGRAMS[program];
  if (sources === undefined) throw new Error(`there is no guest ${program}`);
  const folder = join(GLUE, 'build/guest');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${program}.elf`);
  const define = `-DAXLE_IMAGE=${JSON.stringify(resolve(image))}`;
  const args = [
    ...LANGUAGE,
    ...GUEST_MACHINE,
    ...FREESTANDING,
    ...LINKER,
    define,
    ...SOURCES,
    ...sources,
  ];
  const { status, stderr, error } = spawnSync('gcc', [...args, '-o', path], {
    cwd: GLUE,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`gcc failed: ${error?.message ?? stderr}`);
  return path;
}

if (isProgram(import.meta.url)) {
  for (const program of Object.keys(PROGRAMS)) console.log(buildGuest(program));
}
