import { posix } from 'node:path';

import { AxleError } from 'axle';

import type { BundleFile } from './bundle-files.js';
import { manifestFile, type FunctionManifest } from './function-manifest.js';

/**
 * What a command begins with is a program of the machine by its name or its whole path, or a file of the function: then
 * it has to be there, and such that it can be run. For who sends it, before calls fail one by one.
 *
 * @throws AxleError INVALID_ARGUMENT
 */
export function checkCommandFile(
  { command }: Pick<FunctionManifest, 'command'>,
  files: readonly BundleFile[],
): void {
  const [program = '/'] = command ?? [];
  if (/(^|\/)\.{0,2}$/.test(program) && command !== undefined)
    throw wrong(program, 'is a folder, and no program');
  if (program.startsWith('/')) return;
  const path = posix.normalize(program);
  const file = files.find((each) => each.path === path);
  if (file === undefined) {
    const inLink = files.some((each) => each.link === true && path.startsWith(`${each.path}/`));
    if (!program.includes('/') || inLink) return;
    throw wrong(program, 'is no file of the function; write it as it lies in the folder');
  }
  // What it leads to is seen when it runs.
  if (file.executable || file.link === true) return;
  throw wrong(program, `may not be executed; chmod +x ${path}, and push again`);
}

function wrong(program: string, what: string): AxleError {
  return new AxleError(
    'INVALID_ARGUMENT',
    `${manifestFile}: 'command' begins with ${JSON.stringify(program)}, which ${what}`,
  );
}
