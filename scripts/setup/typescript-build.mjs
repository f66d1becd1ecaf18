import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../repository.mjs';
import { run } from './run-logged.mjs';

const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

/** What tsc writes for one source file. */
const OUTPUT_SUFFIXES = ['.js', '.js.map', '.d.ts', '.d.ts.map'];

/** @returns {string[]} the packages that `tsc -b` builds, relative to the root */
export function typescriptPackages() {
  const { references } = JSON.parse(readFileSync(join(ROOT, 'tsconfig.json'), 'utf8'));
  return references.map((/** @type {{ path: string }} */ { path }) => path);
}

/** @param {{ verbose: boolean }} options */
export async function buildTypeScript({ verbose }) {
  const what = 'building TypeScript';
  await run(what, process.execPath, [TSC, '-b'], { verbose });
  // tsc compares its notes with the sources only: it misses an output that someone deleted.
  const incomplete = typescriptPackages().some((folder) => !hasAllOutputs(folder));
  if (incomplete) await run(what, process.execPath, [TSC, '-b', '--force'], { verbose });
  for (const folder of typescriptPackages()) removeOrphans(folder);
  // Not before its packages are there.
  const { bundleClient } = await import('./bundled-client.mjs');
  await bundleClient();
}

/** @param {string} folder */
function hasAllOutputs(folder) {
  const outputs = new Set(filesUnder(join(ROOT, folder, 'dist')));
  return modulesOf(folder).every((module) =>
    OUTPUT_SUFFIXES.every((suffix) => outputs.has(module + suffix)),
  );
}

/**
 * Removes what was built from a source that is no longer there, lest it still be imported.
 *
 * @param {string} folder
 */
function removeOrphans(folder) {
  const modules = new Set(modulesOf(folder));
  const dist = join(ROOT, folder, 'dist');
  for (const file of filesUnder(dist)) {
    const suffix = OUTPUT_SUFFIXES.find((each) => file.endsWith(each));
    if (suffix === undefined) continue;
    if (!modules.has(file.slice(0, -suffix.length))) rmSync(join(dist, file));
  }
}

/**
 * @param {string} folder
 * @returns {string[]} the modules of a package, relative to src/, without extension
 */
function modulesOf(folder) {
  return filesUnder(join(ROOT, folder, 'src'))
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .map((file) => file.slice(0, -'.ts'.length));
}

/**
 * @param {string} folder
 * @returns {string[]} paths relative to the folder
 */
function filesUnder(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' });
}
