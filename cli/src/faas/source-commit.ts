import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const commit = /^[0-9a-f]{40,64}$/;

/**
 * The commit of the clone that this runs from, as git keeps it in files: no git need be there.
 *
 * @param folder of the clone
 * @returns undefined: it was installed, and is no clone.
 */
export async function sourceCommit(
  folder = fileURLToPath(new URL('../../../', import.meta.url)),
): Promise<string | undefined> {
  const git = `${folder}/.git`;
  const head = await textOf(`${git}/HEAD`);
  const [, ref] = /^ref: (refs\/[\w./-]+)$/.exec(head) ?? [];
  if (ref === undefined || ref.includes('..')) return commit.test(head) ? head : undefined;
  const loose = await textOf(`${git}/${ref}`);
  if (commit.test(loose)) return loose;
  // Of many refs, git keeps one list.
  const packed = (await textOf(`${git}/packed-refs`)).split('\n');
  const [found] = (packed.find((line) => line.endsWith(` ${ref}`)) ?? '').split(' ');
  return found !== undefined && commit.test(found) ? found : undefined;
}

/** '' where there is none. */
async function textOf(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch {
    return '';
  }
}
