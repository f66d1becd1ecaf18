// Writes the constants of proto/registry.json in TypeScript and C, and the services of proto/ in TypeScript, or checks that the committed
// C headers hold them (`--check`).
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { blockOf, replaceGeneratedBlock, sharedSections } from './generate/c-header.mjs';
import { protoModule } from './generate/proto-typescript.mjs';
import { readRegistry, REGISTRY_FILE } from './generate/registry.mjs';
import { constantsModule } from './generate/typescript.mjs';
import { wireSections } from './generate/wire-c.mjs';
import { wireModule } from './generate/wire-typescript.mjs';
import { isProgram, ROOT } from './repository.mjs';

/** @import { Registry } from './generate/registry.mjs' */

/** Not committed. @type {Readonly<Record<string, (registry: Registry) => string>>} */
const MODULES = {
  'core/src/generated/constants.ts': constantsModule,
  'remoting/src/generated/wire.ts': wireModule,
  'remoting/src/generated/proto-sources.ts': protoModule,
};

/** Committed: those who include them need nothing of ours. @type {Readonly<Record<string, (registry: Registry) => string[][]>>} */
const HEADERS = {
  'core/include/axle/plugin.h': sharedSections,
  'unikernel-glue/include/axle/wire_constants.h': (registry) => [
    ...sharedSections(registry),
    ...wireSections(registry),
  ],
};

/** Writes the TypeScript constants. */
export function generateConstants() {
  const registry = readRegistry(join(ROOT, REGISTRY_FILE));
  for (const [file, module] of Object.entries(MODULES)) writeIfChanged(file, module(registry));
}

/**
 * @returns {{ file: string, current: string, wanted: string }[]} the headers as they are and as they should be
 */
function headerVersions() {
  const registry = readRegistry(join(ROOT, REGISTRY_FILE));
  return Object.entries(HEADERS).map(([file, sections]) => {
    const current = readFileSync(join(ROOT, file), 'utf8');
    try {
      return { file, current, wanted: replaceGeneratedBlock(current, blockOf(sections(registry))) };
    } catch (error) {
      throw new Error(`${file}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  });
}

/**
 * An unchanged file keeps its time, so nothing is built again for it.
 *
 * @param {string} file relative to the root
 * @param {string} text
 */
function writeIfChanged(file, text) {
  const path = join(ROOT, file);
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  console.log(`axle: wrote ${file}`);
}

/** @param {string[]} args */
function main(args) {
  const headers = headerVersions();
  if (!args.includes('--check')) {
    generateConstants();
    for (const { file, wanted } of headers) writeIfChanged(file, wanted);
    return;
  }
  for (const { file, current, wanted } of headers) {
    if (current === wanted) continue;
    console.error(
      `axle: ${file} differs from ${REGISTRY_FILE}; run "npm run generate" and commit it`,
    );
    process.exitCode = 1;
  }
}

if (isProgram(import.meta.url)) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    console.error(`axle: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
