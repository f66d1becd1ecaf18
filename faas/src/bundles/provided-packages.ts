import { readFileSync } from 'node:fs';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** What a function may import without bringing it: Axle for its errors and types, sharp for images. */
const provided = ['axle', 'sharp'] as const;

const require = createRequire(import.meta.url);

/** Puts them where Node looks for packages of whatever lies below the folder. A bundle's own go before. */
export async function providePackages(folder: string): Promise<void> {
  const packages = join(folder, 'node_modules');
  await rm(packages, { recursive: true, force: true });
  await mkdir(packages, { mode: 0o700 });
  for (const name of provided) await symlink(folderOf(name), join(packages, name));
}

function folderOf(name: string): string {
  // Not by resolving its package.json, which not every package lets others see.
  let folder = dirname(require.resolve(name));
  while (!isRootOf(folder, name)) folder = dirname(folder);
  return folder;
}

function isRootOf(folder: string, name: string): boolean {
  try {
    const text = readFileSync(join(folder, 'package.json'), 'utf8');
    return (JSON.parse(text) as { readonly name?: unknown }).name === name;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && folder !== dirname(folder)) {
      return false;
    }
    throw error;
  }
}
