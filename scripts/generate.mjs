// Writes the constants of proto/registry.json in TypeScript and C, or checks that the committed
// C header holds them (`--check`).
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { replaceGeneratedBlock } from './generate/c-header.mjs';
import { readRegistry, REGISTRY_FILE } from './generate/registry.mjs';
import { constantsModule } from './generate/typescript.mjs';
import { isProgram, ROOT } from './repository.mjs';

const CONSTANTS_FILE = 'core/src/generated/constants.ts';
const HEADER_FILE = 'core/include/axle/plugin.h';

/** Writes the TypeScript constants, which are not committed. */
export function generateConstants() {
  writeIfChanged(CONSTANTS_FILE, constantsModule(readRegistry(join(ROOT, REGISTRY_FILE))));
}

/**
 * @returns {{ current: string, wanted: string }} the plugin header as it is and as it should be
 */
function headerVersions() {
  const current = readFileSync(join(ROOT, HEADER_FILE), 'utf8');
  try {
    const registry = readRegistry(join(ROOT, REGISTRY_FILE));
    return { current, wanted: replaceGeneratedBlock(current, registry) };
  } catch (error) {
    throw new Error(`${HEADER_FILE}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
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
  const { current, wanted } = headerVersions();
  if (!args.includes('--check')) {
    generateConstants();
    writeIfChanged(HEADER_FILE, wanted);
    return;
  }
  if (current === wanted) return;
  console.error(
    `axle: ${HEADER_FILE} differs from ${REGISTRY_FILE}; run "npm run generate" and commit it`,
  );
  process.exitCode = 1;
}

if (isProgram(import.meta.url)) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    console.error(`axle: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
