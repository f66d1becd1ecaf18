// Builds what is TypeScript, as set-up does. Of what is native, set-up itself sees to it.
import { generateConstants } from './generate.mjs';
import { buildTypeScript } from './setup/typescript-build.mjs';

generateConstants();
await buildTypeScript({ verbose: true });
