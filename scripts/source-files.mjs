import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Never sources, wherever they are. */
const NOT_SOURCE = new Set(['node_modules', 'dist', 'build', 'generated', '.git', 'coverage']);

/**
 * The files of a checkout that are its own: those git knows or would add, or, where there is no
 * git, all but what is built.
 *
 * @param {string} root
 * @returns {string[]} paths relative to the root, sorted
 */
export function sourceFiles(root) {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const { status, stdout } = spawnSync('git', args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  const files =
    status === 0 && existsSync(join(root, '.git'))
      ? stdout.split('\0').filter((file) => file !== '' && existsSync(join(root, file)))
      : walk(root, '');
  return [...new Set(files)].sort();
}

/**
 * @param {string} root
 * @param {string} folder
 * @returns {string[]}
 */
function walk(root, folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (NOT_SOURCE.has(entry.name)) return [];
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    return entry.isDirectory() ? walk(root, path) : [path];
  });
}
