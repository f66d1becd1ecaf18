import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../build/', import.meta.url));

/** The relay that stands for a network. @returns {string} its path */
export function delayRelay() {
  return compiled('delay-relay', []);
}

/** @returns {string | undefined} undefined where gRPC C++ is not installed */
export function grpcStream() {
  const { status, stdout } = spawnSync('pkg-config', ['--cflags', '--libs', 'grpc++'], {
    encoding: 'utf8',
  });
  return status === 0 ? compiled('grpc-stream', stdout.trim().split(/\s+/)) : undefined;
}

/**
 * @param {string} name
 * @param {readonly string[]} flags
 */
function compiled(name, flags) {
  const source = fileURLToPath(new URL(`./${name}.cc`, import.meta.url));
  const program = `${folder}${name}`;
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program;
  mkdirSync(folder, { recursive: true });
  execFileSync('g++', ['-std=c++17', '-O2', source, '-o', program, ...flags], { stdio: 'inherit' });
  return program;
}
