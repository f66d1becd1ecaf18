import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

/** Of what the bundle consists. */
const packages = ['axle', '@axle/core', '@axle/remoting'];

/** With it Node takes the package `axle` from few large modules instead of many small ones. */
const condition = '--conditions=axle-bundled';

let found: readonly string[] | undefined;

/**
 * Arguments for Node with which an instance loads the client in a third of the time, where its bundle was made. All that an instance has of
 * `axle`, its own modules and those of the function, is of the one bundle then.
 */
export function bundledClientArguments(): readonly string[] {
  found ??= isBundled() ? [condition] : [];
  return found;
}

function isBundled(): boolean {
  const root = dirname(dirname(require.resolve('axle')));
  const made = changedAt(join(root, 'build/index.js'));
  if (made === undefined) return false;
  const fromAxle = createRequire(join(root, 'package.json'));
  // In a checkout something may have been built after it.
  return packages.every((name) => {
    const folder = dirname(fromAxle.resolve(name));
    return made >= (changedAt(join(folder, '.tsbuildinfo')) ?? 0);
  });
}

function changedAt(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}
