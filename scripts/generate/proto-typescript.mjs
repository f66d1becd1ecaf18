import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { ROOT } from '../repository.mjs';

/** Folders of `proto/` with the descriptions of services. */
const FOLDERS = ['kserve', 'grpc', 'axle/v1'];

/**
 * @returns {string} a TypeScript module with the text of the `.proto` files: a package that is installed has no `proto/`
 * beside it
 */
export function protoModule() {
  const sources = FOLDERS.flatMap((folder) => {
    const names = readdirSync(join(ROOT, 'proto', folder)).filter((name) => /\.proto$/.test(name));
    return names.sort().map((name) => `${folder}/${name}`);
  });
  const entries = sources.map((name) => {
    const text = readFileSync(join(ROOT, 'proto', name), 'utf8');
    return `  ${JSON.stringify(name)}: ${JSON.stringify(text)},\n`;
  });
  return `// Generated from the .proto files under proto/ by \`npm run generate\`. Do not edit.

/** By their paths, as they import each other. */
export const PROTO_SOURCES: Readonly<Record<string, string>> = {
${entries.join('')}};
`;
}
