import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let place: string;
const started: ChildProcess[] = [];
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'axle-faas-'));
});
afterEach(async () => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
  await rm(place, { recursive: true });
});

const program = `
  import { ProcessInstanceProvider } from '@axle/faas';
  const provider = new ProcessInstanceProvider();
  process.stdin.once('data', () => provider.close().then(() => process.exit()));
  console.log('runs');`;

/** A front end's instances, in a process of its own. */
async function start(): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: place },
  });
  started.push(child);
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  expect(String(line)).toBe('runs\n');
  return child;
}

const folders = async (): Promise<string[]> => {
  const names = await readdir(place);
  // Those that are known to be in use.
  return names.filter((name) => existsSync(join(place, name, 'alive.sock')));
};

describe('the folder of instances', () => {
  it('goes with its front end, or with the next one where that was killed', async () => {
    const killed = await start();
    await expect.poll(folders).toHaveLength(1);
    const [left] = await folders();
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    expect(await folders()).toEqual([left]);
    const next = await start();
    await expect.poll(async () => (await readdir(place)).includes(left as string)).toBe(false);
    next.stdin?.write('end');
    await once(next, 'exit');
    expect(await readdir(place)).toEqual([]);
  });

  it('stays where another front end uses it', async () => {
    await start();
    await expect.poll(folders).toHaveLength(1);
    await start();
    await expect.poll(folders).toHaveLength(2);
  });

  const isRoot = process.getuid?.() === 0;
  it.skipIf(!isRoot)('of another user is none of its business (needs root)', async () => {
    const other = join(place, 'axle-instances-1-other');
    await mkdir(join(other, 'locked'), { recursive: true });
    await chmod(other, 0o000);
    await chown(other, 65_534, 65_534);
    await start();
    await expect.poll(folders).toHaveLength(1);
    expect(await readdir(place)).toContain('axle-instances-1-other');
  });
});
