import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

const entry = fileURLToPath(new URL('../dist/index.d.ts', import.meta.url));

/** Declarations that a user's compiler reads for `import 'axle'`. */
function declarations(): string[] {
  const files = [entry];
  for (const file of files) {
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(/from '(\.[^']+)\.js'/g)) {
      const next = join(dirname(file), `${name}.d.ts`);
      if (existsSync(next) && !files.includes(next)) files.push(next);
    }
  }
  return files.map((file) => basename(file));
}

describe('the public types', () => {
  it('lead to nothing of how devices and plugins are driven', () => {
    const found = declarations();
    expect(found).toContain('client.d.ts');
    expect(found).toContain('codec-stream.d.ts');
    const inner = /^(backend|native-.*|router|registry|device-codec-stream|task-channel)\.d\.ts$/;
    expect(found.filter((name) => inner.test(name))).toEqual([]);
  });
});
