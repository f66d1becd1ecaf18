import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

import { FileError, fileFailure, isSystemError, UsageError } from '../failure.js';

interface TemplateFile {
  readonly path: string;
  readonly text: string;
  readonly mode?: number;
}

const executable = 0o755;

const templates = {
  node: (name: string): TemplateFile[] => [
    {
      path: 'axle-function.json',
      text: `${JSON.stringify({ name, handler: 'handler.mjs' }, null, 2)}\n`,
    },
    {
      path: 'handler.mjs',
      text: `/** Called for each event; what it returns is the answer. */
export default async function handle(event, context) {
  const name = (await event.text()) || 'world';
  console.log(\`greeting \${name}\`);
  return \`hello, \${name}\\n\`;
}
`,
    },
  ],
  executable: (name: string): TemplateFile[] => [
    {
      path: 'axle-function.json',
      text: `${JSON.stringify({ name, command: ['./run.sh'] }, null, 2)}\n`,
    },
    {
      path: 'run.sh',
      text: `#!/bin/sh
# Run once for each event: its body on standard input, the answer on standard output.
exec tr a-z A-Z
`,
      mode: executable,
    },
  ],
};

export type TemplateName = keyof typeof templates;
export const templateNames = Object.keys(templates) as TemplateName[];

/** @returns the name of the function and the files. @throws UsageError, FileError ALREADY_EXISTS */
export async function makeFunction(
  folder: string,
  template: TemplateName,
): Promise<{ name: string; files: string[] }> {
  const { isFunctionName, manifestFile } = await import('@axle/faas');
  const given = basename(resolve(folder));
  const name = given.toLowerCase();
  if (!isFunctionName(name)) {
    throw new UsageError(
      `the folder's name is that of the function: 1 to 63 of a-z, 0-9 and -, not at its ends; not '${given}'`,
    );
  }
  const files = templates[template](name);
  try {
    await mkdir(folder, { recursive: true });
    const there = new Set(await readdir(folder));
    const taken = files.find(({ path }) => there.has(path));
    if (taken !== undefined || there.has(manifestFile)) {
      throw new FileError(
        'ALREADY_EXISTS',
        `${join(folder, taken?.path ?? manifestFile)} is there already; give another folder`,
      );
    }
    for (const { path, text, mode } of files)
      await writeFile(join(folder, path), text, { flag: 'wx', mode: mode ?? 0o644 });
  } catch (error) {
    if (isSystemError(error)) throw fileFailure(error, folder);
    throw error;
  }
  return { name, files: files.map(({ path }) => path) };
}
