import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Absolute path of the repository's root. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * @param {string} moduleUrl the caller's `import.meta.url`
 * @returns {boolean} whether that module is the program, not an import of another
 */
export function isProgram(moduleUrl) {
  const program = process.argv[1];
  // Node resolves links in a module's URL, not in the program's path.
  return program !== undefined && pathToFileURL(realpathSync(program)).href === moduleUrl;
}
