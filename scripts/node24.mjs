// Proves the working tree on Node 24: copies it, sets it up and tests it there with that Node.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { isProgram, ROOT } from './repository.mjs';
import { sourceFiles } from './source-files.mjs';

/** An npm package that carries nothing but the node program. */
const PACKAGE = `node-${process.platform}-${process.arch}`;
const VERSION = '24';

const NODE_FOLDER = join(ROOT, `build/node${VERSION}`);

/** @returns {string} the folder of the program `node` */
function installNode() {
  const bin = join(NODE_FOLDER, 'node_modules', PACKAGE, 'bin');
  if (existsSync(join(bin, 'node'))) return bin;
  mkdirSync(NODE_FOLDER, { recursive: true });
  writeFileSync(join(NODE_FOLDER, 'package.json'), '{ "private": true }\n');
  run(
    'npm',
    ['install', '--no-audit', '--no-fund', `${PACKAGE}@${VERSION}`],
    NODE_FOLDER,
    process.env,
  );
  return bin;
}

/**
 * @param {string} target an empty folder
 */
function copyWorkingTree(target) {
  for (const file of sourceFiles(ROOT)) {
    mkdirSync(dirname(join(target, file)), { recursive: true });
    cpSync(join(ROOT, file), join(target, file));
  }
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} env
 */
function run(command, args, cwd, env) {
  const { status, error } = spawnSync(command, args, {
    cwd,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status === 0) return;
  const outcome = error?.message ?? `exit code ${status}`;
  throw new Error(`${command} ${args.join(' ')} failed: ${outcome}`, { cause: error });
}

/**
 * What npm hands its scripts names the Node that runs now; the copy must not see it.
 *
 * @param {string} bin
 * @returns {NodeJS.ProcessEnv}
 */
function environmentWith(bin) {
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|NODE$)/.test(name));
  return { ...Object.fromEntries(kept), PATH: [bin, process.env['PATH']].join(delimiter) };
}

if (isProgram(import.meta.url)) {
  const copy = mkdtempSync(join(tmpdir(), 'axle-node24-'));
  try {
    const env = environmentWith(installNode());
    copyWorkingTree(copy);
    run(
      'node',
      ['-p', '`axle: node ${process.versions.node}, v8 ${process.versions.v8}`'],
      copy,
      env,
    );
    run('npm', ['test', '--', ...process.argv.slice(2)], copy, env);
  } catch (error) {
    console.error(`axle: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
