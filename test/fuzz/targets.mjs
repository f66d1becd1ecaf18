import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { ROOT } from '../../scripts/repository.mjs';

/** @import { FuzzTarget } from './fuzz-loop.mjs' */

/** Each package keeps the targets of its own parsers. */
const FOLDERS = ['core/test/fuzz', 'cli/test/fuzz', 'remoting/test/fuzz', 'faas/test/fuzz'];

/** @returns {Promise<Map<string, { url: string, target: FuzzTarget }>>} by name */
export async function scriptTargets() {
  const targets = new Map();
  for (const folder of FOLDERS) {
    for (const file of readdirSync(join(ROOT, folder)).sort()) {
      if (!file.endsWith('.fuzz.mjs')) continue;
      const url = pathToFileURL(join(ROOT, folder, file)).href;
      const { target } = await import(url);
      targets.set(file.slice(0, -'.fuzz.mjs'.length), { url, target });
    }
  }
  return targets;
}
