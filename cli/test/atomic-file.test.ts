import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { describe, expect, it } from 'vitest';

import { AtomicFile } from '../src/atomic-file.js';
import { temporaryFolder } from './run-cli.js';

const text = (path: string) => readFileSync(path, 'utf8');

describe('AtomicFile', () => {
  it('shows nothing under its name before commit, and all of it after', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'out');
    const file = await AtomicFile.create(path, { overwrite: false });
    await pipeline(Readable.from([Buffer.from('one '), Buffer.from('two')]), file.sink);
    expect(existsSync(path)).toBe(false);
    await file.commit();
    expect(text(path)).toBe('one two');
    expect(readdirSync(folder)).toEqual(['out']);
  });

  it('leaves nothing behind when discarded, and the old file when there is one', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'out');
    writeFileSync(path, 'old');
    const file = await AtomicFile.create(path, { overwrite: true });
    await file.write(Buffer.from('new'));
    await file.discard();
    await file.discard();
    expect(text(path)).toBe('old');
    expect(readdirSync(folder)).toEqual(['out']);
  });

  it('is harmless to discard after commit', async () => {
    const path = join(temporaryFolder(), 'out');
    const file = await AtomicFile.create(path, { overwrite: false });
    await file.commit();
    await file.discard();
    expect(text(path)).toBe('');
  });

  it('refuses a name that is taken, also one taken meanwhile', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'out');
    const file = await AtomicFile.create(path, { overwrite: false });
    writeFileSync(path, 'first');
    await expect(file.commit()).rejects.toThrow(/exists; .*--force/);
    expect(text(path)).toBe('first');
    await expect(AtomicFile.create(path, { overwrite: false })).rejects.toThrow(/exists/);
    expect(readdirSync(folder)).toEqual(['out']);
  });

  it('keeps the permissions of a file that it replaces, and takes those it is given for a new one', async () => {
    const folder = temporaryFolder();
    const old = join(folder, 'old');
    writeFileSync(old, '');
    chmodSync(old, 0o640);
    for (const [path, mode] of [
      [old, 0o640],
      [join(folder, 'new'), 0o604],
    ] as const) {
      const file = await AtomicFile.create(path, { overwrite: true, mode: 0o604 });
      await file.commit();
      expect(statSync(path).mode & 0o777).toBe(mode);
    }
  });

  it('replaces what a link leads to, and keeps the link', async () => {
    const folder = temporaryFolder();
    const target = join(folder, 'target');
    const link = join(folder, 'link');
    writeFileSync(target, 'old');
    symlinkSync('target', link);
    const file = await AtomicFile.create(link, { overwrite: true });
    await file.write(Buffer.from('new'));
    await file.commit();
    expect(text(target)).toBe('new');
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
  });

  it('refuses directories and folders that are not there', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'sub'));
    const create = (name: string) => AtomicFile.create(join(folder, name), { overwrite: true });
    await expect(create('sub')).rejects.toThrow(/is a directory/);
    await expect(create('none/out')).rejects.toThrow(/out: no such file or directory/);
  });
});
