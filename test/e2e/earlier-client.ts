import { execFileSync, fork, type ChildProcess } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { rolldown } from 'rolldown';

import { loadClientScript } from './load-client.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const numbers = 'proto/registry.json';
const archiveBytesMax = 256 * 1024 * 1024;

function git(...args: readonly string[]): string {
  return execFileSync('git', ['-C', root, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

/** The last commit before the numbers of the wire changed; or why there is none to be had. */
export function earlierCommit(): { readonly commit: string } | { readonly why: string } {
  try {
    const changes = git('log', '-2', '--format=%H', '--', numbers).split('\n');
    if (changes.length < 2) return { why: 'the history does not reach back to other numbers' };
    return { commit: git('rev-parse', '--verify', `${changes[0]}^^{commit}`) };
  } catch (error) {
    return { why: `git says: ${(error as Error).message.split('\n').at(1) ?? ''}` };
  }
}

/** What is built, and what its generated constants need. */
const parts = ['core', 'remoting', 'proto', 'scripts', 'plugins', 'unikernel-glue'];
const settings = ['package.json', 'tsconfig.base.json', '.prettierrc'];

/**
 * Builds load-client.mjs with the client as it was.
 *
 * @param folder empty
 * @returns the script
 */
export async function buildEarlierClient(commit: string, folder: string): Promise<string> {
  const sources = join(folder, 'sources');
  mkdirSync(sources);
  const archive = execFileSync('git', ['-C', root, 'archive', commit, ...parts, ...settings], {
    maxBuffer: archiveBytesMax,
  });
  execFileSync('tar', ['-x', '-C', sources], { input: archive });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  execFileSync(process.execPath, [join(sources, 'scripts/generate.mjs')], { cwd: sources });
  const entry = join(sources, 'axle.ts');
  const connectRemote = join(sources, 'remoting/src/client/connect-remote.ts');
  writeFileSync(
    entry,
    `import { connectRemote } from ${JSON.stringify(connectRemote)};
export const connect = (url: string) => connectRemote(new URL(url), {});\n`,
  );
  const bundle = await rolldown({
    input: loadClientScript,
    platform: 'node',
    resolve: {
      alias: { axle: entry, '@axle/core/internal': join(sources, 'core/src/internal.ts') },
      extensionAlias: { '.js': ['.ts', '.js'] },
    },
    // What is installed is as it is today.
    external: (id) => !/^[./]|^axle$|^@axle\//.test(id),
    logLevel: 'silent',
  });
  const file = join(folder, 'earlier-client.mjs');
  await bundle.write({ file, format: 'esm', codeSplitting: false });
  await bundle.close();
  return file;
}

/** For `LoadClient.start`. */
export function spawnEarlier(script: string): (args: readonly string[]) => ChildProcess {
  return ([, ...args]) => fork(script, args);
}
