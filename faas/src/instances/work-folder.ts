import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The working folder of an instance: its own, to write to, in which the files of its bundle are seen. The bundle's folder
 * itself is that of all instances.
 *
 * @param home of the instance
 */
export function makeWorkFolder(home: string, bundleFolder: string): string {
  const folder = join(home, 'work');
  mkdirSync(folder, { mode: 0o700 });
  for (const name of readdirSync(bundleFolder))
    symlinkSync(join(bundleFolder, name), join(folder, name));
  return folder;
}
