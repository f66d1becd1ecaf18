import { randomFillSync } from 'node:crypto';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { readFilePieces, readWholeFile } from '../src/file-reader.js';

const MiB = 1024 * 1024;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'axle-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function makeFile(bytes: number): Promise<{ path: string; content: Buffer }> {
  const path = join(folder, String(bytes));
  const content = randomFillSync(Buffer.alloc(bytes));
  await writeFile(path, content);
  return { path, content };
}

describe('reading files', () => {
  it.each([0, 1, 4 * MiB - 1, 4 * MiB, 8 * MiB, 8 * MiB + 1, 19 * MiB + 7])(
    'gives all %d bytes',
    async (bytes) => {
      const { path, content } = await makeFile(bytes);
      expect((await readWholeFile(path, bytes)).equals(content)).toBe(true);
      const { pieces, recycle } = await readFilePieces(path, bytes);
      expect(Buffer.concat(pieces).equals(content)).toBe(true);
      recycle();
    },
  );

  it('uses memory again only when told that it may', async () => {
    const { path } = await makeFile(9 * MiB);
    const first = await readFilePieces(path, 9 * MiB);
    const second = await readFilePieces(path, 9 * MiB);
    const memory = (piece: Uint8Array | undefined) => piece?.buffer;
    expect(second.pieces.map(memory)).not.toContain(memory(first.pieces[0]));
    first.recycle();
    const third = await readFilePieces(path, 9 * MiB);
    expect(first.pieces.map(memory)).toContain(memory(third.pieces[0]));
  });

  it('says so when a file becomes shorter meanwhile', async () => {
    const { path } = await makeFile(10 * MiB);
    await truncate(path, 5 * MiB);
    await expect(readWholeFile(path, 10 * MiB)).rejects.toThrow(/became shorter/);
    await expect(readFilePieces(path, 10 * MiB)).rejects.toThrow(/became shorter/);
  });
});
