// Programs of unikernel-glue/ for machines that differ in word size and byte order, and how they run here.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { ROOT } from '../../scripts/repository.mjs';
import { isOnPath } from '../../scripts/setup/system-packages.mjs';
import { run } from '../wire/c-build.mjs';

/**
 * @typedef {object} Machine
 * @property {string} name
 * @property {string} compiler
 * @property {readonly string[]} options for it
 * @property {readonly string[]} runner what its programs are started by; empty: they run as they are
 */

/** @type {readonly [Machine, Machine, Machine]} */
export const machines = [
  { name: '64 bits', compiler: 'gcc', options: [], runner: [] },
  { name: '32 bits', compiler: 'i686-linux-gnu-gcc', options: ['-static'], runner: [] },
  {
    name: '64 bits, big-endian (emulated by qemu-user)',
    compiler: 's390x-linux-gnu-gcc',
    options: ['-static'],
    runner: ['qemu-s390x'],
  },
];

export const clientSources = [
  ...['memory', 'wire_layout', 'wire_read', 'wire_write'],
  ...['client', 'client_requests', 'client_send', 'client_receive'],
].map((name) => `src/${name}.c`);

/** The conformance program of systems with POSIX. */
export const conformanceSources = [
  ...clientSources,
  'posix/transport.c',
  'conformance/conformance.c',
  'conformance/main.c',
];

export const sendModelSources = [...clientSources, 'posix/transport.c', 'test/send_model.c'];

const warnings = ['-Wall', '-Wextra', '-Wconversion', '-Wpedantic', '-Werror'];

/**
 * @param {Machine} machine
 * @returns {string | undefined} why nothing can be tried on it here
 */
export function lacks({ compiler, runner }) {
  const missing = [compiler, ...runner].filter((command) => !isOnPath(command));
  return missing.length === 0 ? undefined : `${missing.join(' and ')} is not installed`;
}

/**
 * @param {Machine} machine
 * @param {string} program its name
 * @param {readonly string[]} sources relative to unikernel-glue/
 * @param {readonly string[]} [options]
 * @returns {readonly string[]} the command that starts it
 */
export function build(machine, program, sources, options = []) {
  const folder = join(ROOT, 'unikernel-glue/build/machines', machine.compiler);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, program);
  const language = ['-std=c11', '-O1', '-Iinclude', '-pthread', ...warnings];
  run(machine.compiler, [...language, ...machine.options, ...options, ...sources, '-o', path]);
  return [...machine.runner, path];
}
