// Makes one module of many of what `axle` consists of, for processes that start often: Node takes a third of the time to load it.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, sep } from 'node:path';
import { rolldown } from 'rolldown';
import { ROOT } from '../repository.mjs';

const PACKAGE = join(ROOT, 'axle');
/** Beside `dist`, so that what is found relative to a module of it is found from here too. */
const OUTPUT = join(PACKAGE, 'build');
/** The checks of plugins start a module of core's as a program, and no function needs them. */
const LEFT_OUT = ['./plugin-check', './package.json'];

/** The packages whose code is taken in; any other is imported as ever. */
const TAKEN_IN = ['@axle/core', '@axle/remoting'];

export async function bundleClient() {
  const { exports, dependencies, peerDependencies } = readPackage();
  const input = Object.fromEntries(
    Object.entries(exports)
      .filter(([name]) => !LEFT_OUT.includes(name))
      .map(([name, { default: file }]) => [
        name === '.' ? 'index' : name.slice('./'.length),
        join(PACKAGE, file),
      ]),
  );
  const importable = Object.keys({ ...dependencies, ...peerDependencies });
  const bundle = await rolldown({
    input,
    platform: 'node',
    external: (id) => !/^[./]/.test(id) && !TAKEN_IN.some((name) => isOf(id, name)),
    plugins: [{ name: 'own-place', transform: placedAsBefore }],
  });
  const { output } = await bundle.write({ dir: OUTPUT, format: 'esm' });
  await bundle.close();
  // Only what is of no use any more goes: instances may start meanwhile.
  for (const file of readdirSync(OUTPUT)) {
    if (!output.some(({ fileName }) => fileName === file)) rmSync(join(OUTPUT, file));
  }
  for (const part of output) {
    for (const id of part.type === 'chunk' ? [...part.imports, ...part.dynamicImports] : []) {
      const isOwn = output.some(({ fileName }) => fileName === id);
      const isNode = id.startsWith('node:') || builtinModules.includes(id);
      if (isOwn || isNode || importable.some((name) => isOf(id, name))) continue;
      throw new Error(`axle/package.json lacks the dependency ${id}, which ${part.fileName} has`);
    }
  }
}

/**
 * @returns {{ exports: Record<string, { default: string }>, dependencies: Record<string, string>, peerDependencies: Record<string, string> }}
 */
function readPackage() {
  return JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
}

/**
 * What core finds relative to its modules, which all lie in one folder, is found from the package's main module.
 *
 * @param {string} code
 * @param {string} id
 */
function placedAsBefore(code, id) {
  if (!id.startsWith(join(ROOT, 'core') + sep) || !code.includes('import.meta.url')) return null;
  return code.replaceAll('import.meta.url', "import.meta.resolve('@axle/core')");
}

/**
 * @param {string} id
 * @param {string} name
 */
function isOf(id, name) {
  return id === name || id.startsWith(`${name}/`);
}
